"""Fetch lists that have a newer version elsewhere: before a run, at most once a day, and quickly.

A list has a URL of its own (also those of Citizen Lab), or the configured collector may have a
newer version of a bundled one. Either is asked by the ETag of what is kept. A refresh that fails
leaves the old list, and is tried again an hour later; only a list that is not here at all is an
error. The server proves its name, and of what it sends only valid targets count.
"""

import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from msgspec import Struct

from probe import targets
from probe.client import endpoint
from probe.client.endpoint import CollectorEndpoint, EndpointError
from probe.client.kept_lists import KeptList, ListOrigin, kept, url_of
from probe.client.list_download import Download, fetch_list
from probe.config import Settings
from probe.errors import UserError
from probe.i18n import _
from probe.runner.target_lists import parse_download
from probe.urls import TargetError

DAY = 86_400.0
RETRY = 3_600.0
# Seconds: for all refreshes before a run together, and for a list that is not here.
_QUICK = 5.0
_FIRST = 30.0


class Refreshed(Struct, frozen=True):
    """The result of a refresh; `targets` is None if the kept list was current."""

    targets: int | None


def prepare(
    specs: Iterable[str], settings: Settings, state: Path, *, note: Callable[[str], None]
) -> None:
    """Fetch the lists of a run that are missing, and refresh those that are due.

    Raises:
        UserError: A list that is not here cannot be fetched.
    """
    deadline = time.monotonic() + _QUICK
    for spec in dict.fromkeys(specs):
        here = kept(state, spec)
        own = url_of(spec, settings.list_mirror) is not None
        if source_of(spec, settings) is None or not _is_due(here):
            continue
        if own and not here.exists:
            refresh(spec, settings, state, seconds=_FIRST)
        elif (left := deadline - time.monotonic()) > 0:
            _refresh_quietly(spec, settings, state, left, note)


def source_of(spec: str, settings: Settings) -> str | None:
    """The URL that has a list, or None for one that is only here."""
    own = url_of(spec, settings.list_mirror)
    if own is not None:
        return own
    if not targets.is_list_name(spec) or not settings.collector or settings.role == "control":
        return None
    try:
        server = _collector(settings)
    except EndpointError as error:
        raise UserError(str(error)) from error
    return f"{server.url}/v1/targets?name={spec}"


def _collector(settings: Settings) -> CollectorEndpoint:
    ca_file = Path(settings.ca_file) if settings.ca_file else None
    return endpoint.parse(settings.collector[0], lab=settings.lab, ca_file=ca_file)


def _is_due(here: KeptList) -> bool:
    # A time in the future means that the clock was set back.
    return not 0 <= time.time() - here.origin.checked < DAY


def _refresh_quietly(
    spec: str, settings: Settings, state: Path, seconds: float, note: Callable[[str], None]
) -> None:
    try:
        found = refresh(spec, settings, state, seconds=seconds)
    except UserError:
        return
    if found.targets is not None:
        message = _("{list}: a newer version with {number} targets")
        note(message.format(list=spec, number=found.targets))


def refresh(spec: str, settings: Settings, state: Path, *, seconds: float = _FIRST) -> Refreshed:
    """Fetch a list unless the kept one is current; `UserError` if that fails."""
    here, source = kept(state, spec), source_of(spec, settings)
    if source is None:
        raise UserError(_("{list}: is only on this machine").format(list=spec))
    known = here.origin
    same = here.exists and known.source == source
    now = time.time()
    try:
        found = _fetch_in_time(source, settings, known.etag if same else None, seconds)
        count = _count(found, spec, source, lab=settings.lab)
    except UserError:
        later = ListOrigin(source=known.source, etag=known.etag, checked=now - DAY + RETRY)
        _keep(here, None, later)
        raise
    _keep(here, found.body, ListOrigin(source=source, etag=found.etag, checked=now))
    return Refreshed(count)


def _count(found: Download, spec: str, source: str, *, lab: bool) -> int | None:
    """The number of valid targets, of which there must be one; None if nothing is new."""
    if found.body is None:
        return None
    try:
        valid, _problems = parse_download(found.body, spec, lab=lab)
    except TargetError as error:
        raise UserError(str(error)) from error
    if not valid:
        raise UserError(_("{url}: has no valid target").format(url=source))
    return len(valid)


def _keep(here: KeptList, body: bytes | None, origin: ListOrigin) -> None:
    """Keep what was fetched; a full disk costs only the copy."""
    try:
        if body is None:
            here.note(origin)
        else:
            here.keep(body, origin)
    except OSError:
        return


def _fetch_in_time(url: str, settings: Settings, etag: str | None, seconds: float) -> Download:
    """Fetch in a thread of its own: the system's resolver may take half a minute to give up."""
    results: list[Download | UserError] = []

    def fetch() -> None:
        try:
            results.append(_fetch(url, settings, etag, seconds))
        except UserError as error:
            results.append(error)

    thread = threading.Thread(target=fetch, daemon=True)
    thread.start()
    thread.join(seconds)
    found = results[0] if results else UserError(_("{url}: no answer in time").format(url=url))
    if isinstance(found, UserError):
        raise found
    return found


def _fetch(url: str, settings: Settings, etag: str | None, seconds: float) -> Download:
    ca_file = Path(settings.ca_file) if settings.ca_file else None
    pin = None
    if settings.collector:
        server = _collector(settings)
        pin = server.pin if url.startswith(f"{server.url}/") else None
    return fetch_list(url, lab=settings.lab, ca_file=ca_file, etag=etag, seconds=seconds, pin=pin)
