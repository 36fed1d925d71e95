"""Addresses that the system's resolver gives for unrelated names whose servers are elsewhere."""

from msgspec.structs import replace

from probe.analysis.sinks import MOST, Sinks
from probe.model import Record, Role
from tests.build import SINK, VALID, dns, doh, record, tls


def led(name: str, truth: str, *, given: str = SINK) -> Record:
    """A name for which the system's resolver gives one address, and another resolver the true."""
    return record(dns(given, name=name), doh(truth, name=name), url=f"https://{name}/")


def sinks(records: list[Record]) -> tuple[str, ...]:
    found = Sinks()
    for one in records:
        found.add(one.steps)
    return found.found()


def test_an_address_for_two_unrelated_names() -> None:
    assert sinks([led("a.org", "93.184.216.34"), led("b.net", "198.35.26.96")]) == (SINK,)


def test_one_name_is_not_enough_nor_two_of_one_owner() -> None:
    assert sinks([led("a.org", "93.184.216.34")]) == ()
    assert sinks([led("a.org", "93.184.216.34"), led("www.a.org", "198.35.26.96")]) == ()


def test_names_of_one_large_network_may_share_a_node() -> None:
    assert sinks([led("a.org", "93.184.216.34"), led("b.net", "93.184.7.9")]) == ()


def test_an_address_that_proves_one_of_them_is_a_content_networks() -> None:
    proven = replace(led("c.org", "151.101.1.6"), steps=(tls(SINK, sni="c.org", trust=VALID),))
    assert sinks([led("a.org", "93.184.216.34"), led("b.net", "198.35.26.96"), proven]) == ()


def test_an_address_that_other_resolvers_give_as_well_is_the_names_own() -> None:
    assert sinks([led("a.org", SINK), led("b.net", SINK)]) == ()


def test_names_without_another_answer_show_nothing() -> None:
    alone = [record(dns(SINK, name=name), url=f"https://{name}/") for name in ("a.org", "b.net")]
    assert sinks(alone) == ()


def test_an_invented_name_is_no_site() -> None:
    asked = replace(dns(SINK, name="x.b.net"), role=Role.NEUTRAL)
    made = record(dns(SINK, name="b.net"), doh("198.35.26.96", name="b.net"), asked)
    assert sinks([made]) == ()


def test_only_some_are_kept() -> None:
    many = [
        led(f"{name}{n}.org", f"{truth}.{n}.4", given=f"185.10.{n}.9")
        for n in range(1, 41)
        for name, truth in (("a", "93.1"), ("b", "94.1"))
    ]
    assert len(sinks(many)) == MOST
