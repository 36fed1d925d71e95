"""Experiments and lists with a risk of their own, accepted before the first use."""

from collections.abc import Iterator
from typing import NamedTuple

from probe.config import Settings
from probe.reference_data import risk_notices


class Risk(NamedTuple):
    """One risk.

    Attributes:
        name: As in `accept_risk`. shown: The option or command that has it.
        kind: The name of its text, which other risks share.
    """

    name: str
    shown: str
    kind: str


# The text of what becomes public for good.
PUBLISHING = "publish"
TRACE = Risk("trace", "trace", "trace")
# A test helper of others sees the address of the line and each target that it is asked about.
HELPER = Risk("helper", "--control ooni:URL", "helper")
# Measurement Lab's servers publish who measured.
MLAB = Risk("mlab", "--server", "mlab")


def publishing_to(url: str) -> Risk:
    """Return the risk of publishing there: it is accepted for each address anew."""
    return Risk(f"publish {url}", f"--to {url}", PUBLISHING)


def of_run(settings: Settings) -> tuple[Risk, ...]:
    """Return the risks of a run with these settings."""
    return tuple(dict.fromkeys(_of_run(settings)))


def asks_helper(settings: Settings) -> bool:
    """Whether a test helper of others is asked for control measurements."""
    return (settings.control or "").startswith("ooni:") and settings.role == "probe"


def _of_run(settings: Settings) -> Iterator[Risk]:
    if asks_helper(settings):
        yield HELPER
    for notice in risk_notices():
        for name in settings.experiments:
            if name in notice.experiments:
                yield Risk(name, f"-e {name}", notice.kind)
        for name in settings.targets:
            if name in notice.lists:
                yield Risk(name, f"--targets {name}", notice.kind)
