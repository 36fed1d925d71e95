"""DNS transports and resolvers: which answers are true, forged or missing."""

from collections.abc import Sequence

from probe.lab.catalogue.entry import entry
from probe.lab.scenario import DnsTampering, Interference, LabSite, Scenario, WholeLine
from probe.model import Mechanism, Outcome


def _asked(
    name: str,
    site: LabSite,
    interferences: Sequence[Interference],
    outcome: Outcome,
    why: str,
    *,
    mechanisms: Sequence[Mechanism] = (),
    any_of: Sequence[Mechanism] = (),
    also: Sequence[Outcome | Mechanism] = (),
) -> Scenario:
    return entry(
        f"resolvers.{name}",
        site,
        interferences,
        outcome,
        why,
        mechanisms=mechanisms,
        any_of=any_of,
        also=also,
        experiments=("dns",),
    )


SCENARIOS: tuple[Scenario, ...] = (
    _asked(
        "fine",
        LabSite("one-truth.org"),
        [],
        Outcome.OK,
        "All transports give the same answer.",
    ),
    _asked(
        "cdn",
        LabSite("many-truths.org", addresses=6, spread=True),
        [],
        Outcome.OK,
        "Every resolver returns another edge of the same content network.",
    ),
    _asked(
        "dead_name",
        LabSite("gone-fishing.org", resolves="nxdomain"),
        [],
        Outcome.DOWN,
        "The name does not exist over any transport.",
    ),
    _asked(
        "system_denies",
        LabSite("not-from-us.org"),
        [DnsTampering("not-from-us.org", "nxdomain", resolvers="system")],
        Outcome.BLOCKED,
        "The provider's resolver denies the name; all others resolve it.",
        mechanisms=[Mechanism.DNS_NXDOMAIN],
    ),
    _asked(
        "injected_everywhere",
        LabSite("overtaken.org"),
        [DnsTampering("overtaken.org", "inject_first")],
        Outcome.BLOCKED,
        "A forged answer arrives before the true one over unencrypted UDP.",
        mechanisms=[Mechanism.DNS_INJECTED],
        also=[Mechanism.DNS_WRONG_ADDRESS],
    ),
    _asked(
        "injected_abroad",
        LabSite("overtaken-abroad.org"),
        [DnsTampering("overtaken-abroad.org", "inject_first", resolvers="public")],
        Outcome.OK,
        "Only answers of third-party resolvers are forged; a browser here does not use them.",
        mechanisms=[Mechanism.DNS_INJECTED],
        also=[Mechanism.DNS_WRONG_ADDRESS],
    ),
    _asked(
        "denied_abroad",
        LabSite("denied-abroad.org"),
        [DnsTampering("denied-abroad.org", "nxdomain", resolvers="public")],
        Outcome.OK,
        "Only unencrypted answers of third-party resolvers deny the name.",
        mechanisms=[Mechanism.DNS_NXDOMAIN],
    ),
    _asked(
        "silent_abroad",
        LabSite("silent-abroad.org"),
        [DnsTampering("silent-abroad.org", "silence", resolvers="public")],
        Outcome.OK,
        "Only unencrypted queries to third-party resolvers get no answer.",
        mechanisms=[Mechanism.DNS_TIMEOUT],
    ),
    _asked(
        "hijacked",
        LabSite("house-resolver.org"),
        [WholeLine("dns_hijack")],
        Outcome.OK,
        "The provider's resolver answers all of UDP port 53, even at addresses without a resolver.",
        mechanisms=[Mechanism.DNS_INJECTED],
    ),
    _asked(
        "no_dot",
        LabSite("no-port-853.org"),
        [WholeLine("no_dot")],
        Outcome.OK,
        "Port 853 is blocked for every resolver; the other transports agree.",
    ),
    _asked(
        "no_encrypted",
        LabSite("in-the-clear.org"),
        [WholeLine("no_doh")],
        Outcome.OK,
        "Encrypted DNS is blocked; the site proves its name at the address.",
    ),
)
