"""Facts about the access line, computed from the records of a run."""

from collections.abc import Sequence
from datetime import datetime

import pytest
from msgspec.structs import replace

from probe.analysis.facts import Facts, condense
from probe.failure import Failure
from probe.model import Authority, Http, Line, Ping, Record, Role, Step, Steps, Tls
from probe.reference_data import unused_addresses
from probe.runner.references import reached
from tests.build import (
    FORGED,
    GOOD,
    OTHER,
    SINK,
    UNRELATED,
    VALID,
    dns,
    fetched,
    harmless,
    numbered,
    page,
    record,
    reference,
    tcp,
    tls,
)

SILENT = (tcp(), tls(failure=Failure.TIMEOUT))


def line_facts(
    before: Steps, after: Steps, records: Sequence[Record], record: Record | None = None
) -> Line:
    return Facts(before, after, records).of(record)


def site(name: str, address: str, *steps: Step, at: str = "2026-11-21T21:39:05Z") -> Record:
    own = tuple(replace(s, sni=name) if hasattr(s, "sni") else s for s in steps)
    made = record(*own, url=f"https://{name}/")
    return replace(made, id=name, started_at=at)


def open_page(name: str, **more: object) -> Http:
    return replace(page(f"http://{name}/"), host=name, **more)


def test_one_key_for_unrelated_names_is_counted_once_a_name() -> None:
    forged = [
        site("a.example", GOOD, tcp(), tls(trust=FORGED)),
        site("www.a.example", OTHER, tcp(OTHER), tls(OTHER, trust=FORGED)),
        site("b.org", SINK, tcp(SINK), tls(SINK, trust=FORGED)),
    ]
    line = line_facts((), (), forged)
    assert (line.resigned_by, line.resigned_names, line.trusted_names) == ("forger", 2, 0)


def test_one_mistaken_server_for_many_names_is_one() -> None:
    same = [site(f"{n}.org", GOOD, tcp(), tls(trust=FORGED)) for n in "abc"]
    assert line_facts((), (), same).resigned_names == 1


def test_a_national_root_is_no_interceptor() -> None:
    national = replace(FORGED, authority=Authority(id="ru", kind="national", proof="claimed"))
    sites = [
        site("a.org", GOOD, tcp(), tls(trust=national)),
        site("b.org", OTHER, tcp(OTHER), tls(OTHER, trust=national)),
    ]
    assert line_facts((), (), sites).resigned_by is None


def test_harmless_names_at_a_target_are_not_unrelated_sites() -> None:
    line = line_facts((), (), [record(*fetched(), harmless(tls(trust=FORGED)))])
    assert (line.resigned_names, line.trusted_names) == (0, 1)


def test_a_key_that_signs_harmless_names_too_is_counted() -> None:
    resigned = tls(trust=FORGED)
    one = site("a.org", GOOD, tcp(), resigned, harmless(resigned))
    other = site("b.org", OTHER, tcp(OTHER), tls(OTHER, trust=FORGED), harmless(tls(trust=VALID)))
    assert line_facts((), (), [one, other]).resigned_harmless == 1
    assert line_facts((), (), [other]).resigned_harmless == 0


def test_one_page_for_every_name_is_a_portal() -> None:
    records = [
        replace(record(tcp(port=80), open_page(name, sha256="same")), id=name)
        for name in ("a.org", "b.org", "c.org")
    ]
    line = line_facts((), (), records)
    assert (line.portal, line.portal_hosts) == (True, 3)


def test_one_page_for_some_names_is_no_portal() -> None:
    records = [
        replace(record(tcp(port=80), open_page(name, sha256=name[0], address=address)), id=name)
        for name, address in (("a.org", GOOD), ("a.net", UNRELATED), ("c.org", SINK))
    ]
    line = line_facts((), (), records)
    assert (line.portal, line.portal_hosts) == (False, 2)


def test_one_page_of_one_server_is_not_that_of_unrelated_sites() -> None:
    records = [
        replace(record(tcp(port=80), open_page(name, sha256=name[0], address=GOOD)), id=name)
        for name in ("a.org", "a.net", "c.org")
    ]
    assert line_facts((), (), records).portal_hosts == 1


def test_redirects_to_one_host_share_a_sign_with_any_path() -> None:
    records = [
        replace(record(open_page(name, status=302, location=f"http://login.lan/?{name}")), id=name)
        for name in ("a.org", "b.org")
    ]
    assert line_facts((), (), records).portal is True


def test_the_page_that_a_portal_redirects_to_is_not_another_name() -> None:
    records = [
        replace(
            record(
                open_page(name, status=302, location="http://login.lan/"),
                replace(open_page("login.lan", sha256="login"), hop=1),
            ),
            id=name,
        )
        for name in ("a.org", "b.org")
    ]
    assert line_facts((), (), records).portal is True


def test_the_line_is_alive_when_others_are_answered_around_a_failure() -> None:
    failing = site("a.org", GOOD, *SILENT, at="2026-11-21T21:39:05Z")
    early = site("b.org", OTHER, *fetched(OTHER), at="2026-11-21T21:38:50Z")
    late = site("c.org", SINK, *fetched(SINK), at="2026-11-21T21:39:20Z")
    line = line_facts((), (), [failing, early, late], record=failing)
    assert (line.alive_before, line.alive_after) == (True, True)


def test_an_answer_from_an_unused_address_is_a_hijack() -> None:
    (unused,) = unused_addresses()
    asked = dns(GOOD, resolver=unused)
    assert line_facts((), (), [site("a.org", GOOD, asked)]).hijacked_resolvers == (unused,)
    silent = dns(resolver=unused, failure=Failure.TIMEOUT)
    elsewhere = dns(GOOD, resolver="8.8.8.8")
    assert line_facts((), (), [site("a.org", GOOD, silent, elsewhere)]).hijacked_resolvers == ()


def test_answers_of_another_hour_do_not_count() -> None:
    failing = site("a.org", GOOD, *SILENT, at="2026-11-21T21:39:05Z")
    early = site("b.org", OTHER, *fetched(OTHER), at="2026-11-21T20:39:00Z")
    line = line_facts((), (), [failing, early], record=failing)
    assert (line.alive_before, line.alive_after) == (False, False)


def test_loss_is_what_failed_and_then_worked() -> None:
    steps = numbered(
        [
            reference(tcp(GOOD)),
            reference(tcp(GOOD, failure=Failure.TIMEOUT)),
            reference(tcp(GOOD)),
            reference(tcp(GOOD)),
            reference(tcp(OTHER, failure=Failure.TIMEOUT)),
        ]
    )
    line = line_facts(steps, (), [])
    assert line.loss == 0.25
    assert (line.references, line.references_failed) == (5, 2)


def handshake(address: str, failure: Failure | None = None) -> list[Step]:
    """A connection to a reference site that worked, and the handshake over it."""
    return [reference(tcp(address)), reference(tls(address, failure=failure))]


def chained(steps: Sequence[Step]) -> Steps:
    """Numbered, each handshake on the connection before it."""
    return tuple(
        replace(one, parent=one.id - 1) if isinstance(one, Tls) else one for one in numbered(steps)
    )


def test_handshakes_that_are_cut_off_at_random_are_the_lines() -> None:
    cut = [*handshake(GOOD, Failure.RESET), *handshake(OTHER, Failure.EOF)]
    fine = [*handshake(GOOD), *handshake(OTHER), *handshake(GOOD), *handshake(OTHER)]
    line = line_facts(chained(cut), chained(fine), [])
    assert line.loss == line.resets == pytest.approx(1 / 3, abs=1e-4)
    assert (line.references, line.references_failed) == (6, 2)


def test_one_reference_site_that_cuts_off_is_not_the_line() -> None:
    cut = [*handshake(GOOD, Failure.RESET), *handshake(GOOD), *handshake(OTHER)]
    line = line_facts(chained(cut), (), [])
    assert line.loss == pytest.approx(1 / 3, abs=1e-4)
    assert line.resets == 0.0


def test_a_reference_site_without_a_proof_answered_all_the_same() -> None:
    refused = [*handshake(GOOD, Failure.SSL_HANDSHAKE), *handshake(OTHER)]
    assert line_facts(chained(refused), (), []).references_failed == 0


def test_an_answer_for_a_nonexistent_name_is_recorded() -> None:
    lie = replace(dns(SINK, name="deadbeef.com"), role=Role.NEUTRAL)
    line = line_facts((lie,), (), [])
    assert line.nxdomain_answered
    assert line.nxdomain_addresses == (SINK,)


def test_nothing_known_is_none_and_not_zero() -> None:
    line = line_facts((), (), [])
    assert line.round_trip is None
    assert line.loss is None
    assert line.portal is None
    assert line.nxdomain_answered is None


def test_condensed_records_give_the_same_line_facts() -> None:
    redirect = open_page("c.example", status=302, location="http://portal.example/")
    records = [
        site("a.example", GOOD, dns(GOOD), tcp(), tls(trust=FORGED)),
        site("b.example", OTHER, tcp(OTHER), tls(OTHER, trust=FORGED), reference(tcp())),
        site("c.example", GOOD, dns(GOOD, resolver="1.1.1.1"), tcp(), redirect),
        site("d.example", GOOD, tcp(), replace(redirect, url="http://d.example/")),
        site("e.example", GOOD, *fetched()),
        site("f.example", GOOD, *SILENT, harmless(tls())),
    ]
    for seen in records:
        others = [one for one in records if one is not seen]
        whole = line_facts((), (), [*others, seen], record=seen)
        assert line_facts((), (), [*map(condense, others), seen], record=seen) == whole


def test_the_gateway_of_a_dead_line_answers_and_is_not_beyond_home() -> None:
    silent = site("a.example", GOOD, replace(tcp(), failure=Failure.TIMEOUT))
    ping = replace(
        record(Ping(what="gateway", at=0.0, elapsed=0.01)), id="ping", experiment="connectivity"
    )
    facts = line_facts((), (), [silent, ping], record=silent)
    assert (facts.alive_before, facts.alive_after) == (False, False)
    assert not reached(ping.steps)
    assert reached((Ping(what="openvpn"),))


def anchor(host: str, *, spoke: bool) -> Steps:
    found = replace(dns(GOOD, name=host), role=Role.REFERENCE)
    there = (tcp(), tls(sni=host)) if spoke else (tcp(failure=Failure.TIMEOUT),)
    return (found, *(replace(step, role=Role.REFERENCE) for step in there))


def test_shares_of_anchors_are_of_those_that_have_an_address() -> None:
    abroad = ("www.apple.com", "www.microsoft.com", "www.debian.org")
    home = ("egov.kz", "kaspi.kz", "www.nur.kz", "kolesa.kz")
    steps = [step for host in abroad for step in anchor(host, spoke=False)]
    steps += [step for n, host in enumerate(home) for step in anchor(host, spoke=n > 0)]
    steps.append(replace(dns(failure=Failure.DNS_NXDOMAIN, name="telecom.kz"), role=Role.REFERENCE))
    line = line_facts(tuple(steps), (), [])
    assert (line.foreign_alive, line.domestic_alive) == (0.0, 0.75)
    again = anchor("www.apple.com", spoke=True)
    assert line_facts(tuple(steps), again, []).foreign_alive == pytest.approx(1 / 3, abs=0.001)


def test_configured_anchors_have_shares_too_and_those_of_unknown_class_count_for_neither() -> None:
    hosts = [f"site{n}.example" for n in range(9)]
    steps = [step for n, host in enumerate(hosts) for step in anchor(host, spoke=n >= 3)]
    classes = dict(zip(hosts, [True] * 3 + [False] * 3 + [None] * 3, strict=True))
    line = Facts(tuple(steps), (), [], abroad=classes).of(None)
    assert (line.foreign_alive, line.domestic_alive) == (0.0, 1.0)
    unknown = Facts(tuple(steps), (), [], abroad=dict.fromkeys(hosts)).of(None)
    assert (unknown.foreign_alive, unknown.domestic_alive) == (None, None)


def test_two_anchors_are_no_share() -> None:
    steps = (*anchor("www.apple.com", spoke=True), *anchor("egov.kz", spoke=True))
    line = line_facts(steps, (), [])
    assert (line.foreign_alive, line.domestic_alive) == (None, None)


def test_a_collector_that_answered_shows_that_the_line_worked() -> None:
    one = site("a.example", GOOD, *SILENT)
    began = datetime.fromisoformat(one.started_at).timestamp()
    alone = Facts((), (), [one]).of(one)
    assert (alone.alive_before, alone.alive_after) == (False, False)
    seen = Facts((), (), [one], answered=(began - 5.0, began + 30.0)).of(one)
    assert (seen.alive_before, seen.alive_after) == (True, True)


def test_a_refusing_server_was_reached() -> None:
    assert reached((tcp(failure=Failure.REFUSED),))
    assert not reached((tcp(failure=Failure.TIMEOUT),))
