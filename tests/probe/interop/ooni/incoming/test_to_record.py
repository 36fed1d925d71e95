"""A measurement as a record: what maps, what is left out, and what a hostile one cannot do."""

import copy
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings, strategies as st
from msgspec.structs import replace

from probe import codec
from probe.certificates.roots import Roots
from probe.failure import Failure
from probe.interop.ooni.incoming.to_record import (
    LeftOutError,
    OoniError,
    experiment_name,
    to_record,
)
from probe.judge import judge
from probe.model import Authority, Dns, Http, Outcome, Record, Tcp, Tls, Verdict
from tests.probe.interop.ooni.incoming.measured import (
    HERE,
    PAGE,
    PLAIN,
    SITE,
    connect,
    denied,
    helper,
    measurement,
    query,
    request,
    shake,
)
from tests.probe.interop.ooni.incoming.situations import FORGED_CHAIN, SITUATIONS

ROOTS = Roots.mozilla()


def record(**more: Any) -> Record:
    return to_record(measurement(**more), roots=ROOTS)


def dns(made: Record) -> list[Dns]:
    return [s for s in made.steps if isinstance(s, Dns)]


def test_the_base_of_a_measurement() -> None:
    made = record()
    assert made.origin == "ooni"
    assert made.started_at == "2024-02-12T20:33:47Z"
    assert (made.vantage.country, made.vantage.asn) == ("KZ", 9198)
    assert made.vantage.version == "ooniprobe-cli/3.20.1"
    assert made.resolver_asn == 9198
    assert made.verdict is None


def test_the_id_is_that_of_the_uid_however_it_came() -> None:
    made = measurement()
    uid = made.pop("measurement_uid")
    with_uid = to_record({**made, "measurement_uid": uid}, roots=ROOTS)
    assert to_record(made, uid=uid, roots=ROOTS).id == with_uid.id
    assert to_record(made, roots=ROOTS).id != with_uid.id
    assert to_record(made, roots=ROOTS).id == to_record(copy.deepcopy(made), roots=ROOTS).id


def test_any_is_split_and_an_empty_family_beside_an_answered_one_is_left_out() -> None:
    both = dns(record(queries=[query([HERE, "2606:4700::1"])]))
    assert [(s.type, s.addresses) for s in both] == [("A", (HERE,)), ("AAAA", ("2606:4700::1",))]
    one = dns(record(queries=[query([HERE])]))
    assert [(s.type, s.resolver, s.failure) for s in one] == [("A", "system", None)]
    none = dns(record(queries=[denied()]))
    assert [(s.type, s.failure) for s in none] == [
        ("A", Failure.DNS_NXDOMAIN),
        ("AAAA", Failure.DNS_NXDOMAIN),
    ]


def test_no_failure_and_no_answer_is_a_failure() -> None:
    (one,) = dns(record(queries=[query((), engine="udp")]))
    assert (one.failure, one.resolver) == (Failure.DNS_NO_ANSWER, "8.8.8.8")


def test_a_second_reply_is_kept() -> None:
    made = measurement(queries=[query(engine="udp")])
    made["test_keys"]["x_dns_duplicate_responses"] = [query(["10.1.2.3"], engine="udp")]
    (one,) = dns(to_record(made, roots=ROOTS))
    assert [reply.answers for reply in one.replies] == [(HERE,), ("10.1.2.3",)]


def test_requests_are_the_oldest_first() -> None:
    first = request(PLAIN, status=301, body="", headers=[["Location", f"https://{SITE}/"]])
    made = record(
        tcp=[connect(port=80), connect(depth=1)],
        tls=[shake(depth=1)],
        requests=[first, request(depth=1)],
    )
    pages = [s for s in made.steps if isinstance(s, Http)]
    assert [(p.hop, p.status, p.proven) for p in pages] == [(0, 301, False), (1, 200, True)]
    assert pages[0].location == f"https://{SITE}/"


def test_steps_have_their_parents() -> None:
    made = record(tcp=[connect()], tls=[shake()], requests=[request()])
    by_kind = {type(s): s for s in made.steps}
    assert by_kind[Http].parent == by_kind[Tls].id
    assert by_kind[Tls].parent == by_kind[Tcp].id
    assert by_kind[Tcp].parent == by_kind[Dns].id


def test_a_chain_is_judged_at_the_time_of_the_measurement() -> None:
    made = record(tls=[shake(failure="ssl_unknown_authority", certs=FORGED_CHAIN)])
    (step,) = [s for s in made.steps if isinstance(s, Tls)]
    assert step.failure is None
    assert step.trust is not None
    assert (step.trust.valid, step.trust.reason) == (False, "unknown_authority")
    assert set(step.chain) <= set(made.certs)


def test_the_control_has_age_zero_and_roles_by_who_resolved_an_address() -> None:
    made = record(control=helper(tcp={f"{HERE}:443": None, "203.0.113.9:443": None}))
    (control,) = made.control
    roles = {s.address: s.role for s in control.steps if isinstance(s, Tcp)}
    assert control.age == 0
    assert roles == {HERE: "target", "203.0.113.9": "neutral"}


def test_a_body_in_base64_is_read() -> None:
    import base64

    packed = {"format": "base64", "data": base64.b64encode(PAGE.encode()).decode()}
    made = record(tcp=[connect()], tls=[shake()], requests=[request(body=packed)])
    (page,) = [s for s in made.steps if isinstance(s, Http)]
    assert page.title == "The news of the day"
    assert page.received_bytes == len(PAGE)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"test_keys": {}}, "test_keys"),
        ({"test_keys": [1]}, "test_keys"),
        ({"input": None}, "input"),
        ({"input": "ftp://site.example/"}, "input"),
        ({"measurement_start_time": "2024-13-41 00:00:00", "test_start_time": 7}, "time"),
    ],
)
def test_what_makes_no_record_has_one_reason(change: dict[str, Any], words: str) -> None:
    with pytest.raises(OoniError, match=words):
        to_record({**measurement(), **change}, roots=ROOTS)


def test_experiments_without_a_counterpart_are_left_out() -> None:
    made = {**measurement(), "test_name": "ndt"}
    with pytest.raises(LeftOutError, match="ndt"):
        to_record(made, roots=ROOTS)
    assert experiment_name({"test_name": "a\nb"}) == "unnamed"


# --- a record of ours that comes back ---------------------------------------------------------


def carrying(kept: Record, **changes: Any) -> dict[str, Any]:
    """A measurement that carries a record."""
    made = {**measurement(), **changes}
    made["test_keys"]["x_qazprobe"] = msgspec.to_builtins(kept)
    return made


def test_our_own_record_comes_back_unjudged() -> None:
    kept = replace(record(tcp=[connect()], tls=[shake(certs=FORGED_CHAIN)]), origin=None)
    kept = replace(kept, verdict=Verdict(outcome=Outcome.BLOCKED, confidence=0.99))
    back = to_record(carrying(kept), roots=ROOTS)
    assert (back.id, back.verdict, back.origin) == (kept.id, None, "ooni/qazprobe")
    assert len(back.steps) == len(kept.steps)


def test_what_it_claims_of_certificates_is_verified_again() -> None:
    kept = replace(record(tls=[shake(certs=FORGED_CHAIN)]), origin=None)
    known = Authority(id="kz.qaznet.2016", kind="interception", proof="verified")
    without: dict[str, str] = {}
    for certs in (kept.certs, without):
        lying = [
            replace(s, trust=replace(s.trust, valid=True, authority=known))
            if isinstance(s, Tls) and s.trust
            else s
            for s in kept.steps
        ]
        made = carrying(replace(kept, steps=tuple(lying), certs=certs))
        (step,) = [s for s in to_record(made, roots=ROOTS).steps if isinstance(s, Tls)]
        assert step.trust is not None
        assert step.trust.authority is None
        assert step.trust.valid is (not certs)


@pytest.mark.parametrize(
    "change",
    [
        {"input": "https://another.example/"},
        {"measurement_start_time": "2024-02-12 20:33:48"},
    ],
)
def test_a_record_of_something_else_is_none(change: dict[str, Any]) -> None:
    kept = replace(record(), origin=None)
    assert to_record(carrying(kept, **change), roots=ROOTS).origin == "ooni"


def test_a_damaged_record_is_none() -> None:
    made = carrying(replace(record(), origin=None))
    made["test_keys"]["x_qazprobe"]["steps"] = [{"op": "magic"}]
    assert to_record(made, roots=ROOTS).origin == "ooni"


# --- hostile measurements ---------------------------------------------------------------------

JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=30)
    | st.sampled_from(
        [10**400, -1, 2**63, "\ud800", "[::1]:443", "1.2.3.4:99999", "AS0", "x" * 9000]
    ),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)
NAMES = sorted(SITUATIONS)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value in a measurement."""
    if isinstance(value, dict):
        inner = [(key, one) for key, one in value.items()]
    else:
        inner = list(enumerate(value)) if isinstance(value, list) else []
    below = [place for key, one in inner for place in places(one, (*path, key))]
    return [path, *below] if path else below


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_measurement_with_anything_in_it_is_refused_or_makes_a_valid_record(
    data: st.DataObject,
) -> None:
    made = copy.deepcopy(SITUATIONS[data.draw(st.sampled_from(NAMES))].make())
    for _ in range(data.draw(st.integers(1, 4))):
        *way, last = data.draw(st.sampled_from(places(made)))
        inner = made
        for key in way:
            inner = inner[key]
        inner[last] = data.draw(JUNK)
    found = made_or_refused(made)
    if isinstance(found, str):
        assert found.count("\n") == 0
    else:
        assert codec.decode(codec.encode(found)).id == found.id
        judge(found)


def test_a_text_that_is_no_unicode_is_refused_in_one_line() -> None:
    made = {
        **SITUATIONS["a reset after the hello"].make(),
        "measurement_uid": "",
        "annotations": "\ud800",
    }
    found = made_or_refused(made)
    assert isinstance(found, str)
    assert "\n" not in found


def made_or_refused(made: Any) -> Record | str:
    """The record, or why there is none."""
    try:
        return to_record(made, roots=ROOTS)
    except OoniError as error:
        return str(error)


@settings(max_examples=100, deadline=None)
@given(JUNK)
def test_anything_at_all_is_refused_in_one_line(anything: Any) -> None:
    with pytest.raises(OoniError):
        to_record(anything, roots=ROOTS)
