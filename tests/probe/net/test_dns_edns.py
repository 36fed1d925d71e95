"""OPT records: what resolvers say in them is kept, and failing on them is no answer."""

import struct
from collections.abc import Callable

import dns.edns
import dns.message
import dns.rcode
import dns.rrset
import pytest
from msgspec.structs import replace

from probe.experiments.interface import Resolver
from probe.experiments.operations import DnsQuery
from probe.failure import Failure
from probe.model import Dns, Edns, ExtendedError
from probe.net.dns import Question
from probe.net.resolver_pool import ResolverPool
from probe.net.session import SessionSettings
from probe.net.target_net import SocketNet
from tests.probe.net.conftest import Measure
from tests.probe.net.servers import udp_server

NAME = "site.example"
Send = Callable[[bytes], None]
DENIAL = dns.rcode.NXDOMAIN


def reply(
    data: bytes, *addresses: str, rcode: int = 0, options: tuple[dns.edns.Option, ...] = ()
) -> bytes:
    """A well-formed reply, with an OPT record only where the query has one."""
    asked = dns.message.from_wire(data)
    message = dns.message.make_response(asked)
    if asked.edns >= 0:
        message.use_edns(0, options=list(options))
    message.set_rcode(dns.rcode.Rcode(rcode))
    if addresses:
        message.answer.append(dns.rrset.from_text(f"{NAME}.", 60, "IN", "A", *addresses))
    return message.to_wire()


def without_opt(data: bytes, rcode: int) -> bytes:
    """A reply by a server that knows no OPT records."""
    return data[:2] + struct.pack("!HHHHH", 0x8180 | rcode, 0, 0, 0, 0)


def has_opt(data: bytes) -> bool:
    return dns.message.from_wire(data).edns >= 0


def ask(measure: Measure, port: int, *, label: str = "system", times: int = 1) -> list[Dns]:
    async def several(net: SocketNet) -> list[Dns]:
        resolver = Resolver(label, "127.0.0.1", port)
        return [await net.dns(DnsQuery(NAME, resolver, limit=0.6)) for _ in range(times)]

    return measure(several)


def test_what_a_resolver_says_about_its_answer_is_kept(measure: Measure) -> None:
    said = (
        dns.edns.EDEOption(dns.edns.EDECode.CENSORED, "court\norder 7"),
        dns.edns.NSIDOption(b"fra-1"),
    )
    with udp_server(lambda data, send: send(reply(data, rcode=3, options=said))) as port:
        (step,) = ask(measure, port)
    expected = Edns(errors=(ExtendedError(code=16, text="court order 7"),), nsid="fra-1")
    assert (step.failure, step.replies[0].edns) == (Failure.DNS_NXDOMAIN, expected)
    assert step.edns_failed is None


def test_only_a_public_resolver_is_asked_which_machine_it_is(measure: Measure) -> None:
    seen: list[int] = []

    def note(data: bytes, send: Send) -> None:
        seen.append(len(dns.message.from_wire(data).options))
        send(reply(data, "192.0.2.1"))

    with udp_server(note) as port:
        ask(measure, port)
        ask(measure, port, label="192.0.2.53")
    assert seen == [0, 1]


@pytest.mark.parametrize("rcode", [1, 2, 3, 4, 5])
def test_failing_on_the_opt_record_is_no_answer(measure: Measure, rcode: int) -> None:
    def old(data: bytes, send: Send) -> None:
        send(without_opt(data, rcode) if has_opt(data) else reply(data, "192.0.2.1"))

    with udp_server(old) as port:
        (step,) = ask(measure, port)
    assert (step.failure, step.addresses, len(step.replies)) == (None, ("192.0.2.1",), 1)
    assert step.edns_failed is not None


@pytest.mark.parametrize("rcode", [1, 4, 16])
def test_an_opt_record_in_the_failure_changes_nothing(measure: Measure, rcode: int) -> None:
    def echoes(data: bytes, send: Send) -> None:
        send(reply(data, rcode=rcode) if has_opt(data) else reply(data, "192.0.2.1"))

    with udp_server(echoes) as port:
        (step,) = ask(measure, port)
    assert (step.failure, step.addresses) == (None, ("192.0.2.1",))
    assert step.edns_failed is Failure.DNS_MISBEHAVING


def test_a_denial_without_opt_record_is_one_if_it_is_repeated(measure: Measure) -> None:
    with udp_server(lambda data, send: send(without_opt(data, DENIAL))) as port:
        (step,) = ask(measure, port)
    assert (step.failure, len(step.replies)) == (Failure.DNS_NXDOMAIN, 1)
    assert step.edns_failed is None


def test_failing_and_then_silence_denies_nothing(measure: Measure) -> None:
    def once(data: bytes, send: Send) -> None:
        if has_opt(data):
            send(without_opt(data, DENIAL))

    with udp_server(once) as port:
        (step,) = ask(measure, port)
    assert (step.failure, step.replies) == (Failure.TIMEOUT, ())


def test_silence_for_the_opt_record_is_learned(measure: Measure) -> None:
    def deaf(data: bytes, send: Send) -> None:
        if not has_opt(data):
            send(reply(data, "192.0.2.1"))

    with udp_server(deaf) as port:
        steps = ask(measure, port, times=3)
    assert [step.addresses for step in steps] == [("192.0.2.1",)] * 3
    assert [step.edns_failed for step in steps] == [Failure.TIMEOUT, Failure.TIMEOUT, None]
    assert steps[2].elapsed < 0.1


def test_an_injected_denial_and_the_true_answer_stay_two_answers(measure: Measure) -> None:
    def twice(data: bytes, send: Send) -> None:
        send(without_opt(data, DENIAL))
        send(reply(data, "192.0.2.1"))

    with udp_server(twice) as port:
        (step,) = ask(measure, port)
    assert [one.rcode for one in step.replies] == [3, 0]
    assert step.failure is Failure.DNS_NXDOMAIN


def test_the_pool_never_doubts_a_resolver_that_spoke_edns() -> None:
    pool, one = ResolverPool((("192.0.2.53", 53),), ()), Resolver("system", "192.0.2.53")
    for _ in range(2):
        pool.note_edns(one, answered=False)
    assert not pool.sends_edns(one)
    pool.note_edns(one, answered=True)
    assert pool.sends_edns(one)


# --- the machine's other resolvers ------------------------------------------------------------


def in_order(
    measure: Measure,
    lab: SessionSettings,
    monkeypatch: pytest.MonkeyPatch,
    *servers: Callable[[bytes, Send], None],
) -> Dns:
    """Ask a machine that is configured with these resolvers."""
    with udp_server(servers[0]) as one, udp_server(servers[1]) as two:
        own = (("127.0.0.1", one), ("127.0.0.1", two))
        monkeypatch.setattr("probe.net.session.system_resolvers", lambda: own)

        async def first(net: SocketNet) -> Dns:
            return await net.dns(DnsQuery(NAME, net.resolvers[0], limit=0.3))

        return measure(first, replace(lab, resolver=None))


@pytest.mark.parametrize(
    ("rcode", "failure"), [(5, Failure.DNS_REFUSED), (2, Failure.DNS_SERVFAIL), (None, "silent")]
)
def test_the_next_resolver_is_asked_as_the_system_does(
    measure: Measure,
    lab: SessionSettings,
    monkeypatch: pytest.MonkeyPatch,
    rcode: int | None,
    failure: str,
) -> None:
    def fails(data: bytes, send: Send) -> None:
        if rcode is not None:
            send(reply(data, rcode=rcode))

    def works(data: bytes, send: Send) -> None:
        send(reply(data, "192.0.2.1"))

    step = in_order(measure, lab, monkeypatch, fails, works)
    assert (step.failure, step.addresses, step.resolver) == (None, ("192.0.2.1",), "system")
    assert step.passed_over == (Failure.TIMEOUT if rcode is None else failure,)


def test_a_denial_of_the_first_resolver_is_its_answer(
    measure: Measure, lab: SessionSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denies(data: bytes, send: Send) -> None:
        send(reply(data, rcode=3))

    def works(data: bytes, send: Send) -> None:
        send(reply(data, "192.0.2.1"))

    step = in_order(measure, lab, monkeypatch, denies, works)
    assert (step.failure, step.passed_over) == (Failure.DNS_NXDOMAIN, ())


def test_where_all_fail_the_first_reply_counts(
    measure: Measure, lab: SessionSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(data: bytes, send: Send) -> None:
        send(reply(data, rcode=5))

    step = in_order(measure, lab, monkeypatch, lambda *_: None, refuses)
    assert (step.failure, len(step.replies)) == (Failure.DNS_REFUSED, 1)


def test_silent_resolvers_are_not_waited_for_one_after_another(
    measure: Measure, lab: SessionSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    under_way = 0
    most: list[int] = []

    async def ask(self: SocketNet, question: Question, limit: float | None) -> Dns:
        nonlocal under_way
        under_way += 1
        most[-1] = max(most[-1], under_way)
        step = await real(self, question, limit)
        under_way -= 1
        return step

    async def thrice(net: SocketNet) -> list[Dns]:
        steps = []
        for _ in range(3):
            most.append(0)
            steps.append(await net.dns(DnsQuery(NAME, net.resolvers[0], limit=0.1)))
        return steps

    real = SocketNet._ask
    monkeypatch.setattr(SocketNet, "_ask", ask)
    with udp_server(lambda *_: None) as one, udp_server(lambda *_: None) as two:
        own = (("127.0.0.1", one), ("127.0.0.1", two))
        monkeypatch.setattr("probe.net.session.system_resolvers", lambda: own)
        steps = measure(thrice, replace(lab, resolver=None))
    assert [step.failure for step in steps] == [Failure.TIMEOUT] * 3
    assert most == [1, 1, 2]  # in order, until all of them have been silent twice


@pytest.mark.parametrize(
    ("address", "lab", "expected"),
    [
        ("192.168.1.1", False, True),
        ("fe80::1%eth0", False, True),
        ("127.0.0.53", False, True),
        ("127.0.0.1", True, False),
        ("10.0.0.1", True, True),
        ("100.64.0.1", False, False),
        ("8.8.8.8", False, False),
    ],
)
def test_a_resolver_at_home(address: str, *, lab: bool, expected: bool) -> None:
    from probe.net.address_policy import is_nearby

    assert is_nearby(address, lab=lab) is expected
