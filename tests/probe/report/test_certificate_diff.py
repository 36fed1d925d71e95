"""The comparison of the received and the genuine certificate."""

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
from probe.report.certificate_diff import differences, forged_certificate, genuine_certificate
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


def intercepted(*steps: Step, controls: tuple[Control, ...] = ()) -> Record:
    return record(*steps, controls=controls, verdict=CAUGHT)


def explain(made: Record) -> str:
    return "\n".join(differences(made))


def served(trust: Trust, **more: object) -> Tls:
    return replace(tls(trust=trust), **more)


ELSEWHERE = control(tls(trust=TRUE))


def test_each_field_is_listed_for_both_certificates() -> None:
    text = explain(intercepted(served(COPY), controls=(ELSEWHERE,)))
    assert f"received        from {GOOD}" in text
    assert "the site's own  a control, 2 minutes before" in text
    assert "issued for (the same)" in text
    assert "signed by\n  received        CN=Forger\n  the site's own  CN=L3" in text
    assert "2026-10-01 02:00:00 UTC to" in text
    assert "do not trust it: its issuer is unknown to browsers" in text


def test_differences_are_sentences() -> None:
    text = explain(intercepted(served(COPY), controls=(ELSEWHERE,)))
    for part in ("key differs", "issuer differs", "shifted by -6 hours", "except at the end"):
        assert part in text
    assert "are missing" in text
    assert "in public logs; the received one is in none" in text
    exact = replace(COPY, not_before=TRUE.not_before, not_after=TRUE.not_after)
    assert "to the second" in explain(intercepted(served(exact), controls=(ELSEWHERE,)))


def test_the_genuine_certificate_may_come_another_way() -> None:
    text = explain(intercepted(served(COPY), served(TRUE, hello="split")))
    assert f"here, at {GOOD}, with the name cut over two packets" in text
    other = explain(intercepted(served(COPY), served(TRUE, address=OTHER)))
    assert f"here, at {OTHER}\n" in other


def test_a_broken_genuine_certificate_is_shown_too() -> None:
    old = replace(TRUE, valid=False)
    text = explain(intercepted(served(COPY), controls=(control(tls(trust=old)),)))
    assert "for an unknown reason" in text
    assert "key differs" in text


def test_a_missing_genuine_certificate_is_reported() -> None:
    text = explain(intercepted(served(FORGED)))
    assert "there is no control measurement of it" in text
    assert "Nothing to compare with" in text
    assert "unknown" in text
    assert "shifted" not in explain(intercepted(served(FORGED), controls=(ELSEWHERE,)))


def test_the_issuer_is_named_with_its_certainty() -> None:
    assert "known for interception: qaznet-2016" in explain(intercepted(served(KNOWN)))
    assert "the name of isca-2020" in explain(intercepted(served(CLAIMED)))
    assert "not a known interceptor" in explain(intercepted(served(FORGED)))


def test_no_output_without_a_forged_certificate() -> None:
    fine = intercepted(served(TRUE))
    assert explain(fine) == ""
    assert forged_certificate(fine) is None
    assert explain(replace(intercepted(served(COPY)), verdict=None)) == ""
    down = Verdict(outcome=Outcome.DOWN)
    assert explain(replace(intercepted(served(COPY)), verdict=down)) == ""


def test_the_forged_certificate_may_come_from_a_neutral_server() -> None:
    away = served(COPY, address=OTHER, role=Role.NEUTRAL)
    harmless = served(FORGED, role=Role.HARMLESS, sni="x.example")
    found = forged_certificate(intercepted(served(TRUE), away, harmless, served(COPY, chain=())))
    assert found is not None
    assert found.where == OTHER
    own = genuine_certificate(intercepted(served(TRUE), away), found)
    assert own is not None
    assert own.step.sni == HOST


def test_the_key_type_is_listed_if_the_certificate_is_available() -> None:
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
    assert "RSA, 2048 bits" in explain(
        replace(intercepted(served(COPY, chain=(digest,))), certs=certs)
    )
    junk = replace(intercepted(served(COPY, chain=(digest,))), certs={digest: "%%%"})
    assert "RSA" not in explain(junk)
    measured = replace(control(served(TRUE, chain=(digest,))), certs=certs)
    assert "RSA, 2048 bits" in explain(intercepted(served(COPY), controls=(measured,)))
