"""Services at their real names and addresses: left alone, blocked, broken.

Each group of scenarios has a testbed of its own with one scenario of each service, because the
input of a service is the same in every scenario.
"""

from base64 import b64encode
from collections.abc import Sequence

from probe import wireguard
from probe.lab.catalogue.lines import LOSS_5
from probe.lab.scenario import (
    WIRE,
    AddressBlock,
    CertificateKind,
    ControlState,
    DnsTampering,
    Expect,
    FirstPacketFilter,
    Interference,
    LabSite,
    LineSpec,
    Scenario,
    ServerKind,
    SniFilter,
)
from probe.lab.tunnels import PEER_KEY, SERVER_KEY
from probe.model import Mechanism, Outcome
from probe.reference_data import endpoints

CENTRES = "data-centres.telegram.example"
TELEGRAM_WEB = "web.telegram.org"
AUTHORITIES = ("authorities.tor.example", "maatuska.tor.example", "moria1.tor.example")
OPENVPN, WIREGUARD, BRIDGE = "openvpn.mine.example", "wireguard.mine.example", "bridge.mine.example"
_OPENVPN_AT, _WIREGUARD_AT, _BRIDGE_AT = "45.130.77.7", "45.130.77.8", "45.130.77.9"

_OPENVPN_SETTINGS = f'[options.openvpn]\nendpoints = ["{_OPENVPN_AT}:1194/udp"]\n'
_BRIDGE_SETTINGS = f'[options.tor]\nbridges = ["obfs4 {_BRIDGE_AT}:8443 {"A" * 40} cert=x"]\n'


def _wireguard_settings(*, key: bool = True) -> str:
    def text(data: bytes) -> str:
        return b64encode(data).decode()

    public = text(wireguard.public_of(SERVER_KEY))
    server = f'endpoint = "{_WIREGUARD_AT}:51820", public_key = "{public}"'
    private = f', private_key = "{text(PEER_KEY)}"' if key else ""
    return f"[options.wireguard]\npeers = [{{ {server}{private} }}]\n"


def telegram(server: ServerKind = "up") -> tuple[LabSite, ...]:
    """Its data centres at the addresses built into its apps, and its web app."""
    fixed = next(one.addresses for one in endpoints("telegram") if one.addresses)
    centres = LabSite(CENTRES, fixed=fixed, speaks="mtproto", ports=(5222,), server=server)
    return (centres, LabSite(TELEGRAM_WEB))


def named(
    service: str, *, certificate: CertificateKind = "trusted", server: ServerKind = "up"
) -> tuple[LabSite, ...]:
    """The sites of a service that has names only."""
    return tuple(
        LabSite(name, ports=one.ports[1:], certificate=certificate, server=server)
        for one in endpoints(service)
        for name in one.names
    )


def tor() -> tuple[LabSite, ...]:
    """The directory authorities, two of them with other ports, and a bridge."""
    many, other, first, *_ = endpoints("tor")
    return (
        LabSite(AUTHORITIES[0], fixed=many.addresses, certificate="self_signed", plain="same"),
        LabSite(AUTHORITIES[1], fixed=other.addresses, certificate="self_signed", plain="tls"),
        LabSite(
            AUTHORITIES[2], fixed=first.addresses, certificate="self_signed", ports=first.ports
        ),
        LabSite(BRIDGE, fixed=(_BRIDGE_AT,), ports=(8443,)),
    )


def openvpn(server: ServerKind = "up") -> tuple[LabSite, ...]:
    """An OpenVPN server of the volunteer."""
    return (LabSite(OPENVPN, fixed=(_OPENVPN_AT,), speaks="openvpn", ports=(1194,), server=server),)


def wireguard_server() -> tuple[LabSite, ...]:
    """A WireGuard server of the volunteer."""
    return (LabSite(WIREGUARD, fixed=(_WIREGUARD_AT,), speaks="wireguard", ports=(51820,)),)


def _entry(
    service: str,
    what: str,
    sites: Sequence[LabSite],
    outcome: Outcome,
    why: str,
    *,
    interferences: Sequence[Interference] = (),
    mechanisms: Sequence[Mechanism] = (),
    also: Sequence[Mechanism | Outcome] = (),
    settings: str = "",
    line: LineSpec = WIRE,
    control: ControlState = ControlState.FRESH,
    group: str,
) -> Scenario:
    expected = Expect(
        f"service:{service}",
        outcome,
        why,
        mechanisms=tuple(mechanisms),
        also_acceptable=tuple(also),
    )
    return Scenario(
        f"services.{service}_{what}",
        tuple(sites),
        (expected,),
        censor=tuple(interferences),
        line=line,
        control=control,
        experiments=(service,),
        group=group,
        settings=settings,
    )


_SELF: CertificateKind = "self_signed"  # stands for a private root of the service

_WHOLE = "services left alone"
_STOPPED = "services stopped"
_BROKEN = "services broken"
_ALONE = "services without a control"
_LOSSY = "services on a lossy line"

_LEFT_ALONE = (
    _entry(
        "telegram",
        "whole",
        telegram(),
        Outcome.OK,
        "Its data centres answer in its own protocol, its web app proves its name.",
        group=_WHOLE,
    ),
    _entry(
        "whatsapp",
        "whole",
        named("whatsapp"),
        Outcome.OK,
        "Its servers accept connections, its registration and web app prove their names.",
        group=_WHOLE,
    ),
    _entry(
        "signal",
        "whole",
        named("signal", certificate=_SELF),
        Outcome.OK,
        "Its servers have the keys that the control sees.",
        group=_WHOLE,
    ),
    _entry(
        "messenger",
        "whole",
        named("messenger"),
        Outcome.OK,
        "Every name leads to an address that proves it.",
        group=_WHOLE,
    ),
    _entry(
        "tor",
        "whole",
        tor(),
        Outcome.OK,
        "The authorities and the bridge answer.",
        settings=_BRIDGE_SETTINGS,
        group=_WHOLE,
    ),
    _entry(
        "openvpn",
        "whole",
        openvpn(),
        Outcome.OK,
        "The server answers the first packet.",
        settings=_OPENVPN_SETTINGS,
        group=_WHOLE,
    ),
    _entry(
        "wireguard",
        "whole",
        wireguard_server(),
        Outcome.OK,
        "The server knows the key.",
        settings=_wireguard_settings(),
        group=_WHOLE,
    ),
)

_TIMEOUT = (Mechanism.TCP_TIMEOUT,)
_UNDER_A_CENSOR = (
    _entry(
        "telegram",
        "data_centres_dropped",
        telegram(),
        Outcome.BLOCKED,
        "Packets to its data centres are dropped here, and the control reaches them.",
        interferences=(AddressBlock(CENTRES, "drop"),),
        mechanisms=_TIMEOUT,
        group=_STOPPED,
    ),
    _entry(
        "whatsapp",
        "web_name_reset",
        named("whatsapp"),
        Outcome.BLOCKED,
        "TLS with its web app is reset by name; messages go through.",
        interferences=(SniFilter("web.whatsapp.com", "reset"),),
        mechanisms=(Mechanism.TLS_RESET,),
        group=_STOPPED,
    ),
    _entry(
        "signal",
        "name_dropped",
        named("signal", certificate=_SELF),
        Outcome.BLOCKED,
        "TLS with its message server goes silent by name.",
        interferences=(SniFilter("chat.signal.org", "drop"),),
        mechanisms=(Mechanism.TLS_TIMEOUT,),
        group=_STOPPED,
    ),
    _entry(
        "messenger",
        "name_denied",
        named("messenger"),
        Outcome.BLOCKED,
        "The provider's resolver says that the name of its message server does not exist.",
        interferences=(DnsTampering("edge-mqtt.facebook.com", "nxdomain", "system"),),
        mechanisms=(Mechanism.DNS_NXDOMAIN,),
        group=_STOPPED,
    ),
    _entry(
        "tor",
        "authorities_refused",
        tor(),
        Outcome.BLOCKED,
        "Connections to every authority are refused here, and the control reaches them.",
        interferences=tuple(AddressBlock(name, "refuse") for name in AUTHORITIES),
        mechanisms=(Mechanism.TCP_REFUSED,),
        group=_STOPPED,
    ),
    _entry(
        "openvpn",
        "first_packet_known",
        openvpn(),
        Outcome.BLOCKED,
        "The first packet is recognised by its shape; after random packets it is answered.",
        interferences=(FirstPacketFilter(OPENVPN, "38", 14),),
        settings=_OPENVPN_SETTINGS,
        group=_STOPPED,
    ),
    _entry(
        "wireguard",
        "first_packet_known",
        wireguard_server(),
        Outcome.BLOCKED,
        "The first packet is recognised by its shape; after random packets it is answered.",
        interferences=(FirstPacketFilter(WIREGUARD, "01000000", 148),),
        settings=_wireguard_settings(),
        group=_STOPPED,
    ),
)

_FOR_EVERYBODY = (
    _entry(
        "telegram",
        "data_centres_down",
        telegram("silent"),
        Outcome.DOWN,
        "Its data centres never answer.",
        group=_BROKEN,
    ),
    _entry(
        "whatsapp",
        "some_servers_dropped",
        named("whatsapp"),
        Outcome.OK,
        "Two of sixteen message servers are blocked here; the others accept connections.",
        interferences=(
            AddressBlock("e1.whatsapp.net", "drop"),
            AddressBlock("e2.whatsapp.net", "drop"),
        ),
        also=_TIMEOUT,
        group=_BROKEN,
    ),
    _entry(
        "signal",
        "intercepted",
        named("signal", certificate=_SELF),
        Outcome.INTERCEPTED,
        "Its message server has another key here than the control sees.",
        interferences=(SniFilter("chat.signal.org", "mitm_anonymous"),),
        mechanisms=(Mechanism.TLS_MITM,),
        group=_BROKEN,
    ),
    _entry(
        "messenger",
        "down",
        named("messenger", server="refuses"),
        Outcome.DOWN,
        "Its servers refuse every connection.",
        group=_BROKEN,
    ),
    _entry(
        "tor",
        "bridge_dropped",
        tor(),
        Outcome.OK,
        "The authorities answer; the state of a private bridge has no control measurement.",
        interferences=(AddressBlock(BRIDGE, "drop"),),
        settings=_BRIDGE_SETTINGS,
        group=_BROKEN,
    ),
    _entry(
        "openvpn",
        "server_silent",
        openvpn("silent"),
        Outcome.INCONCLUSIVE,
        "The volunteer's own server is silent, and there is no control measurement of it.",
        settings=_OPENVPN_SETTINGS,
        group=_BROKEN,
    ),
    _entry(
        "wireguard",
        "udp_dropped",
        wireguard_server(),
        Outcome.INCONCLUSIVE,
        "All packets to the server are dropped, which looks like a server that is down.",
        interferences=(AddressBlock(WIREGUARD, "drop"),),
        settings=_wireguard_settings(),
        group=_BROKEN,
    ),
)

_ON_ITS_OWN = (
    _entry(
        "telegram",
        "dropped_unseen",
        telegram(),
        Outcome.INCONCLUSIVE,
        "Its data centres are silent here, and there is no control.",
        interferences=(AddressBlock(CENTRES, "drop"),),
        control=ControlState.NONE,
        group=_ALONE,
    ),
    _entry(
        "whatsapp",
        "name_reset_unseen",
        named("whatsapp"),
        Outcome.BLOCKED,
        "Its name is reset and a harmless one is not, which needs no control.",
        interferences=(SniFilter("web.whatsapp.com", "reset"),),
        mechanisms=(Mechanism.TLS_RESET,),
        control=ControlState.NONE,
        group=_ALONE,
    ),
    _entry(
        "wireguard",
        "without_a_key",
        wireguard_server(),
        Outcome.INCONCLUSIVE,
        "The server answers only known keys, and none is configured.",
        settings=_wireguard_settings(key=False),
        control=ControlState.NONE,
        group=_ALONE,
    ),
)

_LINE = tuple(
    _entry(
        service, "lossy", sites, Outcome.OK, "Nothing is blocked; packets get lost.",
        also=(Outcome.INCONCLUSIVE,), line=LOSS_5, group=_LOSSY,
    )
    for service, sites in (
        ("telegram", telegram()),
        ("whatsapp", named("whatsapp")),
        ("signal", named("signal", certificate=_SELF)),
        ("messenger", named("messenger")),
    )
)  # fmt: skip

SCENARIOS = (*_LEFT_ALONE, *_UNDER_A_CENSOR, *_FOR_EVERYBODY, *_ON_ITS_OWN, *_LINE)
