"""Both certificates next to each other, in words for somebody who has never seen one."""

import base64
import hashlib
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from msgspec.structs import replace

from probe.model import Control, Mechanism, Outcome, Record, Role, Step, Tls, Trust, Verdict
from probe.report.certificate_diff import differences, forged, true
from tests.build import CLAIMED, FORGED, GOOD, HOST, KNOWN, OTHER, VALID, control, record, tls

TRUE = replace(
    VALID,
    subject="CN=site.example",
    issuer="CN=L3,O=Real Authority",
    not_before="2026-10-01T08:00:00Z",
    not_after="2026-12-30T08:00:00Z",
    serial="0102030405060708090a",
    logged=True,
    extensions=7,
)
DATES = {"not_before": "2026-10-01T02:00:00Z", "not_after": "2026-12-30T02:00:00Z"}
COPY = replace(
    FORGED,
    subject="CN=site.example",
    serial="0102030405066b6b6b6b",
    logged=False,
    extensions=0,
    **DATES,
)
CAUGHT = Verdict(outcome=Outcome.INTERCEPTED, mechanisms=(Mechanism.TLS_MITM,))


def seen(*steps: Step, controls: tuple[Control, ...] = ()) -> Record:
    return record(*steps, controls=controls, verdict=CAUGHT)


def said(made: Record) -> str:
    return "\n".join(differences(made))


def served(trust: Trust, **more: object) -> Tls:
    return replace(tls(trust=trust), **more)


ELSEWHERE = control(tls(trust=TRUE))


def test_each_fact_stands_above_the_other_s() -> None:
    told = said(seen(served(COPY), controls=(ELSEWHERE,)))
    assert f"this came      from {GOOD}" in told
    assert "the site's own a control, 2 minutes before" in told
    assert "made for (the same)" in told
    assert "signed by\n  this came      CN=Forger\n  the site's own CN=L3" in told
    assert "2026-10-01 02:00:00 UTC to" in told
    assert "do not trust it: no browser knows who signed it" in told


def test_what_differs_is_said_in_sentences() -> None:
    told = said(seen(served(COPY), controls=(ELSEWHERE,)))
    for part in ("key is another", "signer is another", "moved by -6 hours", "but for the end"):
        assert part in told
    assert "left out" in told
    assert "public logs, this one in none" in told
    exact = replace(COPY, not_before=TRUE.not_before, not_after=TRUE.not_after)
    assert "to the second" in said(seen(served(exact), controls=(ELSEWHERE,)))


def test_the_site_s_own_may_have_come_another_way() -> None:
    told = said(seen(served(COPY), served(TRUE, hello="split")))
    assert f"here, at {GOOD}, with the name cut over two packets" in told
    other = said(seen(served(COPY), served(TRUE, address=OTHER)))
    assert f"here, at {OTHER}\n" in other


def test_a_broken_certificate_of_the_site_s_own_is_shown_too() -> None:
    old = replace(TRUE, valid=False)
    told = said(seen(served(COPY), controls=(control(tls(trust=old)),)))
    assert "for an unknown reason" in told
    assert "key is another" in told


def test_without_anything_to_compare_with_that_is_said() -> None:
    told = said(seen(served(FORGED)))
    assert "nobody looked from elsewhere" in told
    assert "nothing to compare with" in told
    assert "not known" in told
    assert "moved" not in said(seen(served(FORGED), controls=(ELSEWHERE,)))


def test_who_is_behind_it_is_said_as_sure_as_it_is() -> None:
    assert "known for interception: qaznet-2016" in said(seen(served(KNOWN)))
    assert "the name of isca-2020" in said(seen(served(CLAIMED)))
    assert "Nobody known signed it" in said(seen(served(FORGED)))


def test_nothing_is_said_where_nothing_was_forged() -> None:
    fine = seen(served(TRUE))
    assert said(fine) == ""
    assert forged(fine) is None
    assert said(replace(seen(served(COPY)), verdict=None)) == ""
    down = Verdict(outcome=Outcome.DOWN)
    assert said(replace(seen(served(COPY)), verdict=down)) == ""


def test_the_forged_one_is_found_wherever_the_name_was_offered() -> None:
    away = served(COPY, address=OTHER, role=Role.NEUTRAL)
    harmless = served(FORGED, role=Role.HARMLESS, sni="x.example")
    found = forged(seen(served(TRUE), away, harmless, served(COPY, chain=())))
    assert found is not None
    assert found.where == OTHER
    own = true(seen(served(TRUE), away), found)
    assert own is not None
    assert own.step.sni == HOST


def test_the_kind_of_key_is_told_where_the_certificate_is_at_hand() -> None:
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(77)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2027, 1, 1, tzinfo=UTC))
        .sign(key, SHA256())
    )
    der = made.public_bytes(Encoding.DER)
    digest = hashlib.sha256(der).hexdigest()
    certs = {digest: base64.b64encode(der).decode()}
    assert "RSA, 2048 bits" in said(replace(seen(served(COPY, chain=(digest,))), certs=certs))
    junk = replace(seen(served(COPY, chain=(digest,))), certs={digest: "%%%"})
    assert "RSA" not in said(junk)
    there = replace(control(served(TRUE, chain=(digest,))), certs=certs)
    assert "RSA, 2048 bits" in said(seen(served(COPY), controls=(there,)))
