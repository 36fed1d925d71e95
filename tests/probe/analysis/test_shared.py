"""Outcomes that nearly all hosts of a run share around one moment."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import pytest
from msgspec.structs import replace

from probe.analysis import shared as shared_module
from probe.analysis.facts import Facts
from probe.failure import Failure
from probe.model import Record, Role, SharedOutcome, Step
from tests.build import GOOD, PLAIN, VALID, dns, harmless, page, record, reference, tcp, tls

AT = "2026-11-21T21:39:05Z"


def site(number: int, *steps: Step, started_at: str = AT, scheme: str = "https") -> Record:
    """The record of one of many unrelated sites, each in its own network."""
    name, address = f"site{number}.org", f"93.184.{number}.34"
    own = []
    for step in steps:
        changed = step
        if step.role is Role.HARMLESS:
            own.append(step)
            continue
        for field, value in (("sni", name), ("address", address), ("host", name)):
            if getattr(step, field, None) is not None:
                changed = replace(changed, **{field: value})
        if getattr(step, "url", None) is not None:
            changed = replace(changed, url=f"{scheme}://{name}/")
        own.append(changed)
    made = record(*own, url=f"{scheme}://{name}/")
    return replace(made, id=name, started_at=started_at)


def shared(records: Sequence[Record], before: tuple[Step, ...] = ()) -> tuple[SharedOutcome, ...]:
    return Facts(before, (), records).of(records[0]).shared


REFUSED = tcp(failure=Failure.REFUSED)
SILENT = (tcp(), tls(failure=Failure.TIMEOUT))


def test_a_port_that_refuses_every_site_is_shared() -> None:
    (found,) = shared([site(n, REFUSED) for n in range(1, 8)])
    assert (found.op, found.port, found.family) == ("tcp", 443, 4)
    assert (found.sign, found.hosts, found.of) == ("connection_refused", 6, 6)


def test_a_long_list_of_blocked_sites_is_not_shared_where_references_work() -> None:
    blocked = [site(n, *SILENT) for n in range(1, 46)]
    working = [site(n, tcp(), tls(trust=VALID)) for n in range(46, 71)]
    assert shared([*blocked, *working]) == ()


def test_a_harmless_name_that_is_answered_shows_that_the_line_carries_tls() -> None:
    blocked = [site(n, *SILENT, harmless(tls())) for n in range(1, 5)]
    assert shared(blocked) == ()


def test_the_same_site_at_several_addresses_is_one_host() -> None:
    one = [record(tcp(address, failure=Failure.REFUSED)) for address in (GOOD, "93.184.216.35")]
    assert shared(one) == ()


def test_from_a_moment_on_everything_is_redirected_to_one_host() -> None:
    portal = page(PLAIN, location="http://portal.example/", status=302)
    early = [site(n, page(PLAIN, sha256=str(n) * 64), scheme="http") for n in range(1, 5)]
    late = [site(n, portal, started_at="2026-11-21T21:49:05Z", scheme="http") for n in range(5, 12)]
    assert shared([late[0], *early, *late[1:]])[0].sign == "to portal.example"
    assert shared([early[0], *early[1:], *late]) == ()


def test_a_resolver_with_one_address_for_every_name() -> None:
    (found, *_) = shared([site(n, replace(dns(GOOD), name=f"site{n}.org")) for n in range(1, 5)])
    assert found.op == "dns"


@pytest.mark.parametrize("role", [Role.REFERENCE, Role.NEUTRAL])
def test_a_reference_that_connects_is_an_other_host(role: Role) -> None:
    works = replace(reference(tcp("93.184.218.9")), role=role)
    assert shared([site(1, REFUSED), site(2, REFUSED), site(3, REFUSED)], (works,)) == ()


FROZEN = page(failure=Failure.TIMEOUT, bytes_in=12_000)


def test_pages_that_freeze_for_every_site_are_shared() -> None:
    found = shared([site(n, tcp(), tls(), FROZEN) for n in range(1, 6)])
    assert [(one.op, one.port, one.hosts) for one in found] == [("https", 443, 4)]


def test_one_page_that_freezes_beside_others_that_do_not_is_the_sites_own() -> None:
    fine = [site(n, tcp(), tls(), page()) for n in range(2, 6)]
    assert shared([site(1, tcp(), tls(), FROZEN), *fine]) == ()


def test_a_look_with_small_packets_is_no_ordinary_attempt() -> None:
    small = (tcp(segment_limit=536), tls())
    (found,) = shared([site(n, *SILENT, *small) for n in range(1, 6)])
    assert (found.op, found.sign) == ("tls", "generic_timeout_error")


def at_one_hoster(number: int, *steps: Step) -> Record:
    """A site like the others, whose address is beside theirs."""
    moved = site(number, *steps)
    address = f"203.98.7.{number}"
    steps = tuple(replace(s, address=address) for s in moved.steps if hasattr(s, "address"))
    return replace(moved, steps=steps)


DROPPED = tcp(failure=Failure.TIMEOUT)


def hoster(*records: Record) -> tuple[SharedOutcome, ...]:
    return Facts((), (), records).of(records[0]).hoster


def test_the_silence_of_all_sites_in_one_network_is_their_hosters() -> None:
    beside = [at_one_hoster(n, DROPPED) for n in range(1, 4)]
    (found,) = hoster(*beside, site(9, tcp(), tls(trust=VALID)))
    assert (found.op, found.port, found.sign) == ("tcp", 443, "generic_timeout_error")
    assert (found.hosts, found.of) == (2, 2)


def test_a_site_that_works_in_the_network_shows_that_its_hoster_does() -> None:
    beside = [at_one_hoster(n, DROPPED) for n in range(1, 4)]
    assert hoster(*beside, at_one_hoster(5, tcp())) == ()


def in_one_system(*records: Record, known: int = 99) -> tuple[SharedOutcome, ...]:
    """The same where a table has the first so many of the addresses, all of one system."""
    addresses = [getattr(one.steps[-1], "address", "") for one in records]
    systems = dict.fromkeys(addresses[:known], 64500)
    return Facts((), (), records, systems=systems).of(records[0]).hoster


def test_the_silence_of_all_sites_in_one_autonomous_system_is_their_hosters() -> None:
    silent = [site(n, DROPPED) for n in range(1, 5)]
    other = site(9, tcp())
    assert hoster(*silent, other) == ()
    (found,) = in_one_system(*silent, other, known=4)
    assert (found.op, found.hosts, found.of) == ("tcp", 3, 3)


def test_fewer_sites_or_one_that_works_in_the_autonomous_system_are_no_outage() -> None:
    silent = [site(n, DROPPED) for n in range(1, 5)]
    assert in_one_system(*silent[:3]) == ()
    assert in_one_system(*silent, site(9, tcp())) == ()


def test_an_autonomous_system_of_one_network_needs_several() -> None:
    beside = [at_one_hoster(n, DROPPED) for n in range(1, 3)]
    assert in_one_system(*beside) == ()


def test_one_other_silent_site_is_no_outage() -> None:
    assert hoster(at_one_hoster(1, DROPPED), at_one_hoster(2, DROPPED)) == ()


def test_sites_in_other_networks_are_not_beside_it() -> None:
    assert hoster(at_one_hoster(1, DROPPED), *(site(n, DROPPED) for n in range(2, 6))) == ()


def test_one_hosters_sites_are_one_witness_about_the_line() -> None:
    assert shared([at_one_hoster(n, REFUSED) for n in range(1, 8)]) == ()


def counted(calls: Counter[str], name: str, function: Callable[..., object]) -> object:
    def counting(*args: object, **kwargs: object) -> object:
        found = function(*args, **kwargs)
        if not isinstance(found, Iterator):
            calls[name] += 1
            return found

        def each() -> Iterator[object]:
            for one in found:
                calls[name] += 1
                yield one

        return each()

    return counting


def test_what_a_blocked_site_shares_is_found_without_looking_at_the_whole_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    blocked = [at_one_hoster(n, *SILENT) for n in range(1, 100)]
    working = [site(n, tcp(), tls(trust=VALID)) for n in range(1, 250)]
    facts = Facts((), (), [*blocked, *working])
    calls: Counter[str] = Counter()
    for name in ("network_of", "merge"):
        monkeypatch.setattr(shared_module, name, counted(calls, name, getattr(shared_module, name)))
    for one in blocked:
        assert not facts.of(one).shared
    # Each attempt's network once, and a few more for each record: not 99 times 348.
    assert calls["network_of"] < 1500
    assert calls["merge"] < 100 * 150
