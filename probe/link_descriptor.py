"""OONI Run link descriptors (version 2) as target lists, read and written.

Rule: of a descriptor only the addresses of `web_connectivity` are targets. Every other test in it
becomes a `TargetProblem` that says how the same is measured here, so that nothing is left out
silently. A descriptor is as little trusted as any list.

The format is a JSON object: `nettests` has one object for each test, with its `test_name`, its
`inputs`, and `inputs_extra` with an object for each of them. OONI's API, `ooniprobe` and its apps
give and take it at `/api/v2/oonirun/links/NUMBER`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from probe.i18n import _
from probe.target_rows import TargetProblem, TargetRow
from probe.urls import TargetError

WEB = "web_connectivity"
# Tests without addresses, and the experiments that look at the same.
_EXPERIMENTS: Mapping[str, str] = MappingProxyType(
    {
        "facebook_messenger": "messenger",
        "signal": "signal",
        "telegram": "telegram",
        "tor": "tor",
        "whatsapp": "whatsapp",
    }
)
_SHOWN = 40


class Nettest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One test of a descriptor.

    Attributes:
        inputs_extra: An object for each input, such as its `category_code`.
        targets_name: A list that the server makes anew for each run; then there are no inputs.
    """

    test_name: str
    inputs: Sequence[str] | None = None
    inputs_extra: Sequence[Any] | None = None
    targets_name: str | None = None
    is_background_run_enabled: bool = True
    is_manual_run_enabled: bool = True


class LinkDescriptor(msgspec.Struct, frozen=True, kw_only=True):
    """A descriptor, as far as it says what to measure."""

    nettests: Sequence[Nettest]
    name: str = ""
    is_expired: bool | None = None


def is_json(data: bytes) -> bool:
    """Whether a list is a JSON object."""
    return data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{")


def rows(data: bytes, source: str) -> Iterator[TargetRow | TargetProblem]:
    """The rows of a descriptor.

    Raises:
        TargetError: It is none, or it has expired.
    """
    text = data.removeprefix(b"\xef\xbb\xbf")
    try:
        found = msgspec.json.decode(text, type=LinkDescriptor)
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        message = _("{file}: JSON that is no OONI Run descriptor: {reason}; CSV or URLs expected")
        raise TargetError(message.format(file=source, reason=reason)) from error
    if found.is_expired:
        raise TargetError(_("{file}: this OONI Run link has expired").format(file=source))
    return _rows(found, source, _TextLines(text))


class _TextLines:
    """The lines of texts that follow each other in a file."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._line = 1
        self._lost = False

    def of(self, text: str) -> int:
        """The line of the next such text; that of the one before if it is written otherwise."""
        if self._lost:  # only one search to the end: the file may be long and hostile
            return self._line
        plain = msgspec.json.encode(text)
        places = [self._data.find(one, self._at) for one in (plain, plain.replace(b"/", rb"\/"))]
        found = min((one for one in places if one >= 0), default=-1)
        self._lost = found < 0
        if found >= 0:
            self._line += self._data.count(b"\n", self._at, found)
            self._at = found + 1
        return self._line


def _rows(
    found: LinkDescriptor, source: str, lines: _TextLines
) -> Iterator[TargetRow | TargetProblem]:
    for test in found.nettests:
        line = lines.of(test.test_name) if not test.inputs else 0
        if test.test_name != WEB:
            yield TargetProblem(source, line or lines.of(test.test_name), _left_out(test.test_name))
        elif not test.inputs:
            message = _("a list that the server makes for each run; no addresses are in the file")
            yield TargetProblem(source, line, message)
        else:
            yield from _inputs(test, lines)


def _left_out(name: str) -> str:
    if (experiment := _EXPERIMENTS.get(name)) is not None:
        return _("{name}: has no addresses; it is measured with -e {experiment}").format(
            name=name, experiment=experiment
        )
    return _("{name}: nothing here measures the same").format(name=ascii(name[:_SHOWN]))


def _inputs(test: Nettest, lines: _TextLines) -> Iterator[TargetRow]:
    extras = test.inputs_extra or ()
    for number, url in enumerate(test.inputs or ()):
        extra = _texts(extras[number]) if number < len(extras) else {}
        cells = {"url": url} | {key: one for key, one in extra.items() if key != "url"}
        category = extra.get("category_code", "")
        yield TargetRow(lines.of(url), url, category, cells=tuple(cells.items()))


def _texts(extra: Any) -> dict[str, str]:
    """What is said of one input; other values than texts as JSON."""
    if not isinstance(extra, dict):
        return {}
    return {
        str(key): one if isinstance(one, str) else msgspec.json.encode(one).decode()
        for key, one in extra.items()
    }


def written(targets: Iterable[tuple[str, str]], name: str) -> bytes:
    """A descriptor of these addresses, each with its category or an empty text."""
    made = {"name": name, "nettests": [web_test(targets)]}
    return msgspec.json.format(msgspec.json.encode(made)) + b"\n"


def web_test(targets: Iterable[tuple[str, str]]) -> Nettest:
    """The test of these addresses, each with its category or an empty text."""
    given = list(targets)
    extras = [{"category_code": category} if category else {} for _url, category in given]
    return Nettest(
        test_name=WEB,
        inputs=[url for url, _category in given],
        inputs_extra=extras if any(extras) else None,
    )
