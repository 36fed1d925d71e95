"""Our record comes back from OONI's format as it was, and whatever it says, OONI's form holds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from msgspec.structs import replace

from probe import codec
from probe.interop.ooni.kept import encode, record_in
from probe.interop.ooni.out.from_record import TESTS, identified, measurement
from probe.judge import judge
from probe.lab.cases import Case, expected, load
from probe.model import Record, Vantage
from tests.probe.interop.ooni.any_record import EXPERIMENTS, records

LATER = ("tls_handshakes", "requests")
PLACE = Vantage(country="KZ", asn=9198, network="JSC Kazakhtelecom", kind="fixed")
CASES = {
    name: case
    for name, case in load(Path(__file__).parents[4] / "cases").items()
    if case.record.experiment in TESTS
}


def written(record: Record) -> dict[str, Any]:
    """The measurement as a reader of the file has it."""
    found: dict[str, Any] = msgspec.json.decode(encode(identified(measurement(record))))
    return found


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_golden_case_comes_back_and_gets_its_verdict_again(case: Case) -> None:
    record = replace(case.record, vantage=PLACE)
    record = replace(record, verdict=judge(record))
    line = encode(identified(measurement(record)))
    back = record_in(line)
    assert back == record
    assert back is not None
    assert codec.encode(back) == codec.encode(record)
    assert expected(judge(back)) == expected(judge(record))
    check_form(msgspec.json.decode(line))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(records(st.sampled_from(EXPERIMENTS)))
def test_any_record_comes_back(record: Record) -> None:
    line = encode(identified(measurement(record)))
    assert record_in(line) == record
    check_form(msgspec.json.decode(line))


def test_a_line_comes_back_with_every_byte() -> None:
    case = next(iter(CASES.values()))
    record = replace(case.record, vantage=PLACE)
    line = codec.encode(record).replace(b'{"id"', b'{ "id"', 1)
    assert line in encode(measurement(record, line))


@pytest.mark.parametrize(
    "line", [b"{}", b'{"test_keys": {}}', b'{"test_keys": null, "software_name": "miniooni"}']
)
def test_a_measurement_of_somebody_else_carries_no_record(line: bytes) -> None:
    assert record_in(line) is None


HALF = b'{"test_keys": {"x_qazprobe": {"id": "a"}}}'
DEEP = b'{"test_keys": ' + b"[" * 100_000


@pytest.mark.parametrize("line", [b"", b"[]", HALF, HALF[:-1], DEEP], ids=range(5))
def test_what_only_looks_like_one_is_refused_in_one_line(line: bytes) -> None:
    with pytest.raises(codec.CodecError):
        record_in(line)


# --- what holds of every measurement -----------------------------------------------------------


def check_form(found: dict[str, Any]) -> None:
    """The rules that readers of OONI's format rely on."""
    keys = found["test_keys"]
    assert keys
    for part in sections(keys):
        check_transactions(part)
        check_queries(part)
        assert part["network_events"] is None
    if keys.get("control"):
        control = keys["control"]
        assert set(control["tls_handshake"]) <= set(control["tcp_connect"])
        assert isinstance(control["dns"]["addrs"], list)


def sections(keys: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from keys.get("targets", {}).values()
    if "targets" not in keys:
        yield keys


def check_transactions(part: dict[str, Any]) -> None:
    of_queries = {one["transaction_id"] for one in part["queries"] or ()}
    opened = {one["transaction_id"] for one in part["tcp_connect"]}
    later = {one["transaction_id"] for name in LATER for one in part[name] or ()}
    datagrams = {one["transaction_id"] for one in part.get("quic_handshakes", ())}
    assert not of_queries & (opened | later)
    assert not datagrams & (opened | of_queries)
    assert all(number > 0 for number in of_queries | opened | later | datagrams)


def check_queries(part: dict[str, Any]) -> None:
    asked = [
        (one["hostname"], one["engine"], one["resolver_address"], one)
        for one in part["queries"] or ()
    ]
    for host, engine, resolver, query in asked:
        assert query["query_type"] in {"A", "AAAA"}
        is_empty = not any("ipv4" in one or "ipv6" in one for one in query["answers"])
        if is_empty and query["failure"] in {None, "dns_no_answer"}:
            same = [q for h, e, r, q in asked if (h, e, r) == (host, engine, resolver)]
            assert not any("ipv4" in a or "ipv6" in a for q in same for a in q["answers"])
