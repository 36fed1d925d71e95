"""Further queries are sent where the answers leave something open, and only there."""

import asyncio
from dataclasses import dataclass, field

from msgspec.structs import replace

from probe.experiments.browse import UrlHop
from probe.experiments.interface import Reference, Task
from probe.experiments.name_follow_ups import query_further
from probe.experiments.operations import DnsQuery
from probe.experiments.step_log import StepLog
from probe.failure import Failure
from probe.model import Dns, Role, Step
from probe.reference_data import advertising_names, unused_addresses
from tests.build import GOOD, HARMLESS, HOST, OTHER, SINK, URL, control, dns, doh, fetched, nxdomain
from tests.fake_net import FakeNet

(ADVERTISING,) = advertising_names()
(UNUSED,) = unused_addresses()
NODATA = dns(failure=Failure.DNS_NO_ANSWER)
TASK = Task(URL, harmless=(HARMLESS,))
REFERRED = Task(
    URL, harmless=(HARMLESS,), references=(Reference("https://ref.example/", OTHER),)
)  # fmt: skip


@dataclass
class Asked(FakeNet):
    """A net that notes the type of each query as well."""

    queries: list[tuple[str, str, str]] = field(default_factory=list)

    async def dns(self, query: DnsQuery) -> Dns:
        self.queries.append((query.resolver.label, query.name, query.type))
        return await super().dns(query)


def asked(*seen: Step, task: Task = TASK) -> list[tuple[str, str, str]]:
    net, log = Asked(), StepLog()
    for step in seen:
        log.add(step)
    asyncio.run(query_further(task, net, log, UrlHop(URL)))
    return net.queries


def nearby(step: Dns) -> Dns:
    return replace(step, nearby=True)


def test_nothing_where_the_answer_leads_to_the_site() -> None:
    assert asked(dns(GOOD), doh(GOOD), *fetched()) == []


def test_another_name_where_this_one_was_denied() -> None:
    assert asked(nxdomain()) == [("system", HARMLESS, "A")]
    assert asked(nxdomain(), task=REFERRED) == [("system", "ref.example", "A")]


def test_ipv6_addresses_where_there_is_no_ipv4_one() -> None:
    found = asked(NODATA)
    assert ("system", HOST, "AAAA") in found
    assert ("1.1.1.1", HOST, "AAAA") in found
    assert ("system", HOST, "AAAA") not in asked(NODATA, replace(NODATA, type="AAAA"))


def test_ipv6_of_another_name_only_where_a_control_has_one_for_this() -> None:
    no_ipv6 = replace(NODATA, type="AAAA")
    assert asked(dns(GOOD), no_ipv6, *fetched(), task=REFERRED) == []
    found = control(dns("2606:2800::1", type="AAAA"))
    known = Task(URL, references=REFERRED.references, controls=(found,))
    assert asked(dns(GOOD), no_ipv6, *fetched(), task=known) == [("system", "ref.example", "AAAA")]


def test_advertising_where_a_resolver_of_the_home_network_denies() -> None:
    def names(*seen: Step) -> list[str]:
        return [name for _, name, _ in asked(*seen)]

    assert names(nearby(nxdomain())).count(ADVERTISING) == 2
    assert names(nearby(dns("0.0.0.0"))).count(ADVERTISING) == 2
    assert ADVERTISING not in names(nxdomain())
    assert ADVERTISING not in names(nearby(dns(GOOD)))
    assert ADVERTISING not in names(nearby(nxdomain()), nearby(dns(GOOD)))


def test_an_invented_name_where_the_system_alone_gives_some_address() -> None:
    (system, below, _), (public, other, _) = asked(dns(SINK), doh(GOOD), *fetched())
    assert (system, public) == ("system", "1.1.1.1")
    assert below == other
    assert below.endswith(f".{HOST}")
    assert below != f".{HOST}"
    assert asked(dns(SINK), doh(GOOD))[0][1] == below, "the same in each query of a run"


def test_no_invented_name_where_another_source_or_a_certificate_confirms_the_address() -> None:
    assert asked(dns(SINK), doh(SINK)) == []
    assert asked(dns(SINK), doh(GOOD), *fetched(SINK)) == []
    assert asked(dns(SINK)) == []


def test_an_invented_name_where_others_say_that_this_one_does_not_exist() -> None:
    below = [name for _, name, _ in asked(dns(SINK), doh(failure=Failure.DNS_NXDOMAIN))]
    assert len(below) == 2
    assert all(name.endswith(f".{HOST}") for name in below)


def test_an_address_without_resolver_where_plain_answers_agree_with_a_doubtful_one() -> None:
    forged = (dns(SINK), dns(SINK, resolver="8.8.8.8"), doh(GOOD))
    assert asked(*forged) == [(UNUSED, HARMLESS, "A")]
    assert UNUSED not in [label for label, _, _ in asked(dns(SINK), doh(GOOD))]
    assert asked(*forged, *fetched(SINK)) == []


def test_the_steps_have_the_role_of_what_they_ask() -> None:
    net, log = Asked(), StepLog()
    log.add(nearby(NODATA))
    asyncio.run(query_further(TASK, net, log, UrlHop(URL)))
    roles = {(s.name, s.type): s.role for s in log.steps if isinstance(s, Dns)}
    assert roles[ADVERTISING, "A"] is Role.NEUTRAL
    assert roles[HARMLESS, "A"] is Role.HARMLESS
    assert roles[HOST, "AAAA"] is Role.TARGET


def test_a_public_resolver_that_fails_as_the_systems_does_is_asked_for_another_name() -> None:
    silent = dns(failure=Failure.TIMEOUT)
    alike = replace(silent, resolver="8.8.8.8")
    usual = ("system", HARMLESS, "A")
    assert asked(silent, doh(GOOD)) == [usual]
    assert asked(nxdomain(), nxdomain(resolver="8.8.8.8"), doh(GOOD)) == [usual]
    further = asked(silent, alike, doh(GOOD))
    assert set(further) == {usual, ("8.8.8.8", HARMLESS, "A"), (UNUSED, HARMLESS, "A")}
