"""QUIC is blocked by the name in its Initials, by address, or on the whole line."""

from collections.abc import Sequence

from probe.lab.catalogue.entry import entry
from probe.lab.quic_server import is_here
from probe.lab.scenario import (
    Expect,
    Interference,
    LabSite,
    LineSpec,
    QuicFilter,
    Scenario,
    SniFilter,
    WholeLine,
)
from probe.model import Mechanism, Outcome

_LOSSY = LineSpec("lossy udp", delay=0.03, loss=0.08)


def _quic(
    name: str,
    site: LabSite,
    interferences: Sequence[Interference],
    outcome: Outcome,
    why: str,
    *,
    mechanisms: Sequence[Mechanism] = (),
    also: Sequence[Outcome | Mechanism] = (),
) -> Scenario:
    return entry(
        f"quic.{name}",
        site,
        interferences,
        outcome,
        why,
        mechanisms=mechanisms,
        also=also,
        experiments=("quic",),
    )


_ALL = (
    _quic(
        "drop_name",
        LabSite("fast-lane.org", quic="up"),
        [QuicFilter("fast-lane.org", "drop_name")],
        Outcome.BLOCKED,
        "A flow whose Initial offers the name is dropped; a harmless name at the address passes.",
        mechanisms=[Mechanism.QUIC_TIMEOUT],
    ),
    _quic(
        "drop_name_and_hello",
        LabSite("no-lane-at-all.org", quic="up"),
        [QuicFilter("no-lane-at-all.org", "drop_name"), SniFilter("no-lane-at-all.org", "drop")],
        Outcome.BLOCKED,
        "TLS is blocked too, so the page cannot advertise HTTP/3; the DNS record does.",
        mechanisms=[Mechanism.QUIC_TIMEOUT],
    ),
    _quic(
        "drop_address",
        LabSite("closed-port.org", quic="up"),
        [QuicFilter("closed-port.org", "drop")],
        Outcome.BLOCKED,
        "UDP port 443 of its address is silent here for every name, and answers the control.",
        mechanisms=[Mechanism.QUIC_TIMEOUT],
    ),
    _quic(
        "refuse_address",
        LabSite("polite-port.org", quic="up"),
        [QuicFilter("polite-port.org", "refuse")],
        Outcome.BLOCKED,
        "ICMP says here that its UDP port 443 is closed; the control gets an answer there.",
        mechanisms=[Mechanism.QUIC_REFUSED],
    ),
    _quic(
        "only_hello",
        LabSite("side-door.org", quic="up"),
        [SniFilter("side-door.org", "drop")],
        Outcome.OK,
        "TLS over TCP is blocked by name, and QUIC is not.",
    ),
    _quic(
        "fine",
        LabSite("quick-reader.org", quic="up"),
        [],
        Outcome.OK,
        "It answers over QUIC.",
    ),
    _quic(
        "not_offered",
        LabSite("tcp-forever.org"),
        [],
        Outcome.INCONCLUSIVE,
        "It offers no HTTP/3, so its silence over UDP means nothing.",
    ),
    _quic(
        "offered_by_nobody",
        LabSite("empty-promise.org", quic="advertised"),
        [],
        Outcome.DOWN,
        "It advertises HTTP/3, and its UDP port is closed for every client.",
        also=[Outcome.INCONCLUSIVE],
    ),
    _quic(
        "offered_and_silent",
        LabSite("mute-promise.org", quic="mute"),
        [],
        Outcome.DOWN,
        "It advertises HTTP/3, and its own firewall drops it for every client.",
        also=[Outcome.INCONCLUSIVE],
    ),
    Scenario(
        "quic.none_on_this_line",
        (LabSite("office-firewall.org", quic="up"),),
        (
            Expect(
                "https://office-firewall.org/",
                Outcome.INCONCLUSIVE,
                "UDP port 443 is blocked for every site on this line, as in some offices.",
            ),
        ),
        censor=(WholeLine("no_quic"),),
        experiments=("quic",),
    ),
    Scenario(
        "quic.lossy",
        tuple(LabSite(f"windy-{index}.org", quic="up") for index in range(6)),
        tuple(
            Expect(
                f"https://windy-{index}.org/",
                Outcome.OK,
                "Eight packets in a hundred are lost each way.",
                also_acceptable=(Outcome.INCONCLUSIVE,),
            )
            for index in range(6)
        ),
        line=_LOSSY,
        experiments=("quic",),
    ),
)

SCENARIOS: tuple[Scenario, ...] = _ALL if is_here() else ()
