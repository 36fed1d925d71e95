"""Poor lines: interference is still found, and there are no false positives."""

from probe.lab.scenario import (
    AddressBlock,
    DnsTampering,
    Expect,
    HttpFilter,
    LabSite,
    LineSpec,
    Scenario,
    SniFilter,
)
from probe.model import Mechanism, Outcome

HOME = LineSpec("home", delay=0.015, jitter=0.003, rate=20_000_000)
LOSS_1 = LineSpec("loss_1", delay=0.015, loss=0.01, rate=20_000_000)
LOSS_3 = LineSpec("loss_3", delay=0.015, loss=0.03, rate=20_000_000)
LOSS_5 = LineSpec("loss_5", delay=0.015, loss=0.05, rate=20_000_000)
SATELLITE = LineSpec("satellite", delay=0.3, rate=256_000, queue=32_768)
EVENING = LineSpec("evening", delay=0.02, jitter=0.02, rate=4_000_000, queue=131_072, cross=0.9)
MOBILE = LineSpec("mobile", delay=0.04, jitter=0.06, loss=0.01, rate=6_000_000)


def _on(line: LineSpec) -> Scenario:
    """Seven sites, one of each important kind, on one line."""
    tag = line.name.replace("_", "-")
    fine, silent, torn, denied, dead, paged = (
        f"{what}-on-{tag}.org" for what in ("fine", "silent", "torn", "denied", "dead", "paged")
    )
    sites = (
        LabSite(fine),
        LabSite(silent),
        LabSite(torn),
        LabSite(denied),
        LabSite(dead, server="silent"),
        LabSite(paged, plain="same"),
        LabSite(f"blackhole-on-{tag}.org"),
    )
    why = f"As on a good line, on this one ({line.name})."

    def blocked(url: str, mechanism: Mechanism) -> Expect:
        return Expect(url, Outcome.BLOCKED, why, mechanisms=(mechanism,))

    expect = (
        Expect(f"https://{fine}/", Outcome.OK, why),
        blocked(f"https://{silent}/", Mechanism.TLS_TIMEOUT),
        blocked(f"https://{torn}/", Mechanism.TLS_RESET),
        blocked(f"https://{denied}/", Mechanism.DNS_NXDOMAIN),
        Expect(f"https://{dead}/", Outcome.DOWN, why),
        blocked(f"http://{paged}/", Mechanism.HTTP_BLOCKPAGE),
        blocked(f"https://blackhole-on-{tag}.org/", Mechanism.TCP_TIMEOUT),
    )
    interferences = (
        SniFilter(silent, "drop"),
        SniFilter(torn, "reset"),
        DnsTampering(denied, "nxdomain"),
        HttpFilter(paged, "page_200"),
        AddressBlock(f"blackhole-on-{tag}.org", "drop"),
    )
    return Scenario(f"lines.{line.name}", sites, expect, censor=interferences, line=line)


LINES = {line.name: line for line in (HOME, LOSS_1, LOSS_3, LOSS_5, SATELLITE, EVENING, MOBILE)}

SCENARIOS = tuple(_on(line) for line in LINES.values())
