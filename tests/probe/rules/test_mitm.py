"""Notes on an interceptor: each where it matches and where it does not."""

import pytest
from msgspec.structs import replace

from probe.analysis.evidence import Evidence
from probe.judge import judge
from probe.model import Outcome, Record, Role, Step, Tls, Trust, TrustReason
from probe.rules import RULES
from tests.build import (
    EXPIRED,
    FORGED,
    GOOD,
    HOST,
    OTHER,
    VALID,
    control,
    harmless as harmless_of,
    record,
    tcp,
    tls,
)
from tests.probe.rules.check import holds, verdict_on

TRUE = replace(
    VALID,
    not_before="2026-10-01T08:00:00Z",
    not_after="2026-12-30T08:00:00Z",
    serial="0102030405060708090a",
    logged=True,
    extensions=7,
)
COPY = replace(
    FORGED,
    not_before="2026-10-01T02:00:00Z",
    not_after="2026-12-30T02:00:00Z",
    serial="0102030405066b6b6b6b",
    logged=False,
    extensions=0,
)
OLD = replace(TRUE, valid=False, reason=TrustReason.EXPIRED)
HOME = harmless_of(replace(tls(trust=replace(VALID, named=False)), server_hello="771,4865,51-43"))
DEFAULT = replace(FORGED, leaf_key="default", issuer_key="default", named=False)


def offer(trust: Trust = COPY, address: str = GOOD, **more: object) -> Tls:
    return replace(tls(address, trust=trust), **{"server_hello": "771,49199,65281", **more})


def away(trust: Trust, address: str = OTHER, **more: object) -> Tls:
    return offer(trust, address, role=Role.NEUTRAL, **more)


def at_reference(trust: Trust = VALID) -> Tls:
    return offer(trust, OTHER, role=Role.REFERENCE, sni="ref.example")


def mitm(*steps: Step, true: Trust | None = TRUE) -> Record:
    controls = () if true is None else (control(tcp(), tls(trust=true)),)
    return record(HOME, *steps, experiment="mitm", controls=controls)


def reason(rule_id: str, made: Record) -> str:
    rule = next(rule for rule in RULES if rule.id == rule_id)
    proof = rule.holds(Evidence(made))
    return (proof.reason or rule.sentence) if proof else ""


WAYS = (offer(hello="tls12"), offer(TRUE, hello="tls13"))
TABLE = {
    "elsewhere too": (
        "mitm.name_alone_suffices",
        mitm(offer(), away(COPY)),
        True,
        "intercepted tls.mitm 0.98 by tls.copied_like_2019",
    ),
    "not elsewhere": (
        "mitm.name_alone_suffices",
        mitm(offer(), away(TRUE)),
        False,
        "intercepted tls.mitm 0.98 by tls.copied_like_2019",
    ),
    "a default certificate elsewhere": (
        "mitm.name_alone_suffices",
        mitm(offer(), harmless_of(tls(OTHER, trust=DEFAULT)), away(DEFAULT)),
        False,
        "intercepted tls.mitm 0.98 by tls.copied_like_2019",
    ),
    "another port at home is not elsewhere": (
        "mitm.name_alone_suffices",
        mitm(offer(), away(COPY, GOOD, port=8443)),
        False,
        "intercepted tls.mitm 0.98 by tls.copied_like_2019",
    ),
    "only here": (
        "mitm.only_at_its_address",
        mitm(offer(), away(replace(TRUE, named=False)), at_reference()),
        True,
        "intercepted tls.mitm 0.98 by tls.copied_like_2019",
    ),
    "only here, but the other server proves nothing": (
        "mitm.only_at_its_address",
        mitm(offer(), away(DEFAULT), at_reference(DEFAULT)),
        False,
        "intercepted tls.mitm 0.98 by tls.copied_like_2019",
    ),
    "everywhere": (
        "mitm.only_at_its_address",
        mitm(offer(), away(COPY), at_reference()),
        False,
        "intercepted tls.mitm 0.98 by tls.copied_like_2019",
    ),
    "both versions": (
        "mitm.tls_versions",
        mitm(offer(), *WAYS),
        True,
        "intercepted tls.mitm 0.98 by tls.copied_like_2019",
    ),
    "one version": (
        "mitm.tls_versions",
        mitm(offer(), WAYS[0]),
        False,
        "intercepted tls.mitm 0.98 by tls.copied_like_2019",
    ),
    "no interceptor": (
        "mitm.tls_versions",
        mitm(offer(TRUE), *WAYS[1:], WAYS[1]),
        False,
        "ok 0.95 by ok.own_certificate_every_way",
    ),
    "with and without alpn": (
        "mitm.alpn",
        mitm(offer(), offer(hello="noalpn")),
        True,
        "intercepted tls.mitm 0.98 by tls.copied_like_2019",
    ),
    "with alpn alone": (
        "mitm.alpn",
        mitm(offer()),
        False,
        "intercepted tls.mitm 0.98 by tls.copied_like_2019",
    ),
    "another port": (
        "mitm.other_port",
        mitm(offer(), away(COPY, GOOD, port=8443)),
        True,
        "intercepted tls.mitm 0.98 by tls.copied_like_2019",
    ),
    "another port is closed": (
        "mitm.other_port",
        mitm(offer()),
        False,
        "intercepted tls.mitm 0.98 by tls.copied_like_2019",
    ),
    "cut in two": (
        "mitm.name_cut_in_two",
        mitm(offer(), offer(TRUE, hello="split")),
        True,
        "intercepted tls.mitm 0.98 by tls.copied_like_2019",
    ),
    "never cut": (
        "mitm.name_cut_in_two",
        mitm(offer()),
        False,
        "intercepted tls.mitm 0.98 by tls.copied_like_2019",
    ),
    "a copy": (
        "mitm.copies_the_origin",
        mitm(offer()),
        True,
        "intercepted tls.mitm 0.98 by tls.copied_like_2019",
    ),
    "no copy": (
        "mitm.copies_the_origin",
        mitm(offer(replace(COPY, not_after="2027-12-30T02:00:00Z", serial="77"))),
        False,
        "intercepted tls.mitm 0.892 by tls.control_sees_another_certificate",
    ),
    "nothing to compare": (
        "mitm.copies_the_origin",
        mitm(offer(), true=None),
        False,
        "inconclusive 0.55 by unclear.whose_certificate",
    ),
    "a broken origin": (
        "mitm.origin_is_broken",
        mitm(offer(), true=OLD),
        True,
        "intercepted tls.mitm 0.98 by tls.copied_like_2019",
    ),
    "a good origin": (
        "mitm.origin_is_broken",
        mitm(offer()),
        False,
        "intercepted tls.mitm 0.98 by tls.copied_like_2019",
    ),
    "handwriting": (
        "mitm.handwriting",
        mitm(offer()),
        True,
        "intercepted tls.mitm 0.98 by tls.copied_like_2019",
    ),
    "handwriting that was not seen": (
        "mitm.handwriting",
        mitm(offer(server_hello=None)),
        False,
        "intercepted tls.mitm 0.98 by tls.copied_like_2019",
    ),
    "a site that the control sees so too": (
        "mitm.handwriting",
        mitm(offer(COPY), true=COPY),
        False,
        "down 0.874 by tls.own_bad_certificate",
    ),
}


@pytest.mark.parametrize(("rule", "seen", "expected", "verdict"), TABLE.values(), ids=list(TABLE))
def test_rule(rule: str, seen: Record, *, expected: bool, verdict: str) -> None:
    assert holds(rule, seen) is expected
    assert verdict_on(seen) == verdict


def test_reasons_name_the_result_of_each_hello() -> None:
    assert reason("mitm.tls_versions", mitm(offer(), *WAYS)) == (
        "TLS 1.2: intercepted. TLS 1.3: not intercepted."
    )
    silent = offer(hello="tls13", failure=None)
    silent = replace(silent, trust=None)
    assert "TLS 1.3: no answer" in reason("mitm.tls_versions", mitm(offer(), WAYS[0], silent))
    assert "Without ALPN: intercepted" in reason("mitm.alpn", mitm(offer(), offer(hello="noalpn")))
    assert "port 8443" in reason("mitm.other_port", mitm(offer(), away(TRUE, GOOD, port=8443)))
    assert "not intercepted" in reason(
        "mitm.name_cut_in_two", mitm(offer(), offer(TRUE, hello="split"))
    )


def test_the_copied_fields_are_named() -> None:
    assert reason("mitm.copies_the_origin", mitm(offer())) == (
        "The forged certificate copies from the true one: "
        "both dates, -6 hours, the serial except its last bytes."
    )
    same = replace(COPY, not_before=TRUE.not_before, not_after=TRUE.not_after, serial=TRUE.serial)
    assert "both dates, the serial." in reason("mitm.copies_the_origin", mitm(offer(same)))


def test_the_treatment_of_an_invalid_origin_is_named() -> None:
    dates = {"not_before": OLD.not_before, "not_after": OLD.not_after}
    kept = replace(COPY, reason=TrustReason.UNKNOWN_AUTHORITY, **dates)
    assert "the same dates" in reason("mitm.origin_is_broken", mitm(offer(kept), true=OLD))
    assert "other dates" in reason("mitm.origin_is_broken", mitm(offer(), true=OLD))
    own = replace(TRUE, valid=False, anchored=False, reason=TrustReason.SELF_SIGNED)
    assert "hides the fault" in reason("mitm.origin_is_broken", mitm(offer(), true=own))
    undated = replace(EXPIRED, issuer_key="theirs")
    assert "no end date" in reason("mitm.origin_is_broken", mitm(offer(FORGED), true=undated))


def test_both_server_hello_fingerprints_are_named() -> None:
    note = reason("mitm.handwriting", mitm(offer()))
    assert "771,49199,65281" in note
    assert "771,4865,51-43" in note
    alike = mitm(offer(server_hello="771,4865,51-43"))
    assert "the server's is the same" in reason("mitm.handwriting", alike)


def test_notes_do_not_change_the_verdict() -> None:
    verdict = judge(mitm(offer(), *WAYS))
    assert verdict.outcome is Outcome.INTERCEPTED
    assert {"mitm.tls_versions", "mitm.copies_the_origin"} <= {hit.id for hit in verdict.rules}
    quiet = judge(mitm(offer(TRUE), offer(TRUE, hello="tls12"), offer(TRUE, hello="tls13")))
    assert not any(hit.id.startswith("mitm.") for hit in quiet.rules)
    assert HOST in {step.sni for step in mitm(offer()).steps if isinstance(step, Tls)}
