"""The options that select records, the same for every command and as the API's parameters."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from collector.admin.commands import parse_instant
from collector.settings import SettingsError
from probe.words import EXPERIMENTS, Outcome

if TYPE_CHECKING:
    from collector.store.queries import Selection

F = TypeVar("F", bound=Callable[..., Any])

# The last is that of the record of a run.
_OUTCOMES = [*(one.value for one in Outcome), "none"]
_PLACE = (
    click.option("--since", metavar="DAY", help="Only what was measured since then."),
    click.option("--until", metavar="DAY", help="Only what was measured before then."),
    click.option("--target", metavar="NAME", default="", help="Only this target of the lists."),
    click.option("--country", metavar="CC", default="", help="Only this country, such as KZ."),
    click.option("--asn", metavar="NUMBER", default="", help="Only this network, such as 9198."),
    click.option(
        "--experiment",
        type=click.Choice(EXPERIMENTS),
        metavar="NAME",
        help="Only this experiment, such as web.",
    ),
)
_RECORD = (
    click.option("--input", "input_", metavar="URL", default="", help="Only this measured URL."),
    click.option("--outcome", type=click.Choice(_OUTCOMES), help="Only this outcome."),
    click.option(
        "--role", type=click.Choice(["probe", "control"]), help="Only probes or controls."
    ),
)


def place_options(command: F) -> F:
    """The options that select targets, networks and times."""
    return _with(command, _PLACE)


def selection_options(command: F) -> F:
    """All options of `selection`."""
    return _with(command, (*_PLACE, *_RECORD))


def _with(command: F, options: Sequence[Callable[[F], F]]) -> F:
    for option in reversed(options):
        command = option(command)
    return command


def selection(
    *,
    since: str | None,
    until: str | None,
    target: str,
    country: str,
    asn: str,
    experiment: str | None,
    input_: str = "",
    outcome: str | None = None,
    role: str | None = None,
) -> "Selection":
    """The records that the options select."""
    from collector.store.queries import Selection
    from collector.target_labels import normalise

    return Selection(
        target=target,
        input=(normalise(input_) or input_) if input_ else "",
        country=_country(country),
        asn=_asn(asn),
        outcome=outcome or "",
        experiment=experiment or "",
        role=role or "",
        since=parse_instant(since, 0.0),
        until=parse_instant(until, 1e12),
    )


def place(country: str, asn: str) -> tuple[str, int]:
    """A country or a network: its number, or 0 for the country as a whole."""
    return _country(country), max(0, _asn(asn))


def _country(text: str) -> str:
    if text and not (len(text) == 2 and text.isascii() and text.isalpha()):
        raise SettingsError(f"--country “{text}”: two letters expected, such as KZ")
    return text.upper()


def _asn(text: str) -> int:
    digits = text.upper().removeprefix("AS")
    if text and not (digits.isascii() and digits.isdigit() and int(digits) < 2**32):
        raise SettingsError(f"--asn “{text}”: a number expected, such as 9198 or AS9198")
    return int(digits) if text else -1
