"""Read the lists of a run: bundled, downloaded, or files; without what the volunteer left out.

A list from elsewhere is not trusted: it may hold no private host and not more rows than a
downloaded list plausibly has, and the volunteer's choice of categories holds for it too. A row
without a category, or with a wrong one, has the category that the bundled lists know for its host.
"""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from msgspec.structs import replace

from probe import categories, targets
from probe.categories import CategoryChoice, LeftOut
from probe.client import kept_lists
from probe.client.kept_lists import kept, url_of
from probe.client.list_download import fetch_list
from probe.config import Settings
from probe.errors import UserError
from probe.i18n import _, ngettext
from probe.ordering import host_of
from probe.targets import Loaded, Target
from probe.urls import TargetError

# Bundled lists that are measured only when they are named, which is the choice of their category.
OPT_IN = frozenset({"vpn", "kz-optin"})
# Rows of a downloaded list: Citizen Lab's longest has some 1,700.
DOWNLOAD_ROWS = 20_000
# Messages about invalid rows; `targets check` prints all of them.
_MOST_WARNINGS = 10


class TargetLists:
    """The lists of one run.

    Attributes:
        left_out: What the choice of categories left out.
    """

    def __init__(self, settings: Settings, state: Path, warn: Callable[[str], None]) -> None:
        self.left_out = LeftOut()
        self._settings = settings
        self._state = state
        self._warn = warn
        self._choice = choice(settings, state)

    def is_here(self, spec: str) -> bool:
        """Whether a list can be read without a download."""
        remote = url_of(spec, self._settings.list_mirror) is not None
        return not remote or kept(self._state, spec).exists

    def read(self, spec: str) -> Sequence[Target]:
        """The targets of a list that are to be measured; `UserError` if there is none."""
        try:
            found, problems = load(spec, self._settings, self._state)
        except TargetError as error:
            raise UserError(str(error)) from error
        if not found:
            reason = f" ({problems[0]})" if problems else ""
            message = _("{spec}: nothing in it can be measured{reason}")
            raise UserError(message.format(spec=spec, reason=reason))
        for problem in problems[:_MOST_WARNINGS]:
            self._warn(str(problem))
        if (more := len(problems) - _MOST_WARNINGS) > 0:
            message = ngettext(
                "{spec}: {number} more invalid row: qazprobe targets check {spec}",
                "{spec}: {number} more invalid rows: qazprobe targets check {spec}",
                more,
            )
            self._warn(message.format(spec=spec, number=more))
        left_out = LeftOut()
        wanted = wanted_targets(found, self._choice, left_out, spec=spec, lab=self._settings.lab)
        if not wanted:
            raise UserError(f"{spec}: {left_out.line}")
        for code, count in left_out.counts.items():
            self.left_out.add(code, count)
        return wanted

    def candidates(self, purpose: str) -> Sequence[Target]:
        """The targets of a purpose in the bundled list of Kazakhstan that are to be measured."""
        found = targets.candidates(purpose)
        return wanted_targets(found, self._choice, LeftOut(), spec="kz", lab=self._settings.lab)


def choice(settings: Settings, state: Path) -> CategoryChoice:
    """The volunteer's choice of categories; a control measures everything unless configured."""
    recorded = categories.read(state)
    if settings.role == "control":
        recorded = CategoryChoice(only=frozenset({categories.ALL}))
    return recorded.changed(settings.categories)


def wanted_targets(
    found: Sequence[Target], chosen: CategoryChoice, left_out: LeftOut, *, spec: str, lab: bool
) -> list[Target]:
    """The targets of a list whose categories are chosen; the others are counted."""
    wanted: list[Target] = []
    for target in found:
        known = None if lab else _known_categories().get(_site(target.url))
        codes = [code for code in (target.category, known) if code is not None]
        closed = [one for one in codes if not chosen.measures(one, opted_in=spec in OPT_IN)]
        if closed:
            left_out.add(closed[0])
        else:
            wanted.append(target)
    return wanted


def left_out(found: Sequence[Target], spec: str, settings: Settings, state: Path) -> LeftOut:
    """What the choice of categories would leave out of a list."""
    counted = LeftOut()
    chosen = choice(settings, state)
    wanted_targets(found, chosen, counted, spec=spec, lab=settings.lab)
    return counted


def load(spec: str, settings: Settings, state: Path) -> Loaded:
    """Read a list, valid rows and problems; raise `TargetError` or `UserError`."""
    here = kept(state, spec)
    url = url_of(spec, settings.list_mirror)
    if url is None and not (targets.is_list_name(spec) and here.exists):
        if spec.startswith(kept_lists.CITIZENLAB):
            message = _("{spec}: citizenlab:kz, citizenlab:global or another country expected")
            raise UserError(message.format(spec=spec))
        return _with_purposes(targets.load(spec, lab=settings.lab))
    if here.exists:
        body = here.path.read_bytes()[: kept_lists.MOST_BYTES]
    else:
        body = download(url or spec, settings)
    return _with_purposes(parse_download(body, spec, lab=settings.lab))


def body_of(spec: str, settings: Settings, state: Path) -> bytes:
    """The bytes of a list that is here: kept, bundled or a file; raise `TargetError`."""
    here = kept(state, spec)
    is_kept = url_of(spec, settings.list_mirror) is not None or targets.is_list_name(spec)
    if is_kept and here.exists:
        return here.path.read_bytes()[: kept_lists.MOST_BYTES]
    return targets.body(spec)


def download(url: str, settings: Settings) -> bytes:
    """The bytes of a list that is not here yet."""
    ca_file = Path(settings.ca_file) if settings.ca_file else None
    return fetch_list(url, lab=settings.lab, ca_file=ca_file).body or b""


def parse_download(body: bytes, spec: str, *, lab: bool) -> Loaded:
    """Parse a list that came over the network; `TargetError` if it is no text."""
    return targets.parse_bytes(body, spec, lab=lab, most=DOWNLOAD_ROWS)


def purpose_of(url: str) -> str:
    """The purpose that the bundled list of Kazakhstan knows for a target, or an empty text."""
    return _purposes().get(url, "")


@cache
def _purposes() -> dict[str, str]:
    return {target.url: target.purpose for target in targets.bundled("kz")[0]}


@cache
def _known_categories() -> dict[str, str]:
    """The sites in bundled lists of which a category may be left out for its risk, by host."""
    every = (target for name in targets.list_names() for target in targets.bundled(name)[0])
    return {_site(one.url): one.category for one in every if one.category in categories.CAREFUL}


def _site(url: str) -> str:
    return host_of(url).removeprefix("www.")


def _with_purposes(loaded: Loaded) -> Loaded:
    """A list without purposes, as collectors and Citizen Lab have, with those that are known."""
    found, problems = loaded
    if any(target.purpose for target in found):
        return loaded
    known = _purposes()
    completed = (
        replace(one, purpose=known[one.url]) if known.get(one.url) else one for one in found
    )
    return tuple(completed), problems
