"""The parameters of a request's query string, parsed into types with ranges.

Rule: the store is asked only with values that were parsed here. An unknown, repeated or unusable
parameter is a 400 that names it, says what was expected, and lists the parameters of the route.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Literal,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec
from aiohttp import web
from msgspec import Meta

from collector import record_row, target_labels
from collector.api.http import Refused, RouteHandler
from collector.store.measurements import NO_OUTCOME
from collector.store.queries import Selection
from probe.model import Outcome
from probe.words import EXPERIMENTS

if TYPE_CHECKING:
    from multidict import MultiMapping

P = TypeVar("P", bound="Parameters")

EVERY = 1e12
# Within it each instant is a valid time and a number of the store's.
_EARLIEST, _LATEST = 0.0, 4_102_444_800.0
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_FIELD = re.compile(r"`\$\.(\w+)|unknown field `([^`]{1,40})")
_PLAIN = r"^[^\x00-\x1f\x7f\ud800-\udfff]*\Z"

# An empty text would select everything, which is not what a reader with a filter wants.
Text = Annotated[
    str, Meta(min_length=1, max_length=2048, pattern=_PLAIN, description="text, not empty,")
]
Count = Annotated[int, Meta(ge=1, le=1_000_000, description="a number from 1 to 1000000")]
Cursor = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=512,
        pattern=r"^[A-Za-z0-9_-]+\Z",
        description="`next` of the page before",
    ),
]
Limit = Annotated[int, Meta(ge=1, le=1000, description="a number from 1 to 1000")]
Country = Annotated[str, Meta(pattern=r"^[A-Za-z]{2}\Z", description="two letters, such as KZ")]
Asn = Annotated[
    str, Meta(pattern=r"^([Aa][Ss])?[0-9]{1,10}\Z", description="a number, such as 9198 or AS9198")
]
OUTCOMES = "|".join([*(one.value for one in Outcome), NO_OUTCOME])
OutcomeWord = Annotated[str, Meta(pattern=rf"^({OUTCOMES})\Z", description=OUTCOMES)]
_EXPERIMENTS = "|".join(EXPERIMENTS)
ExperimentWord = Annotated[str, Meta(pattern=rf"^({_EXPERIMENTS})\Z", description=_EXPERIMENTS)]


class Instant(float):
    """A Unix time, from a day or an RFC 3339 instant."""


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The parameters of a route that has none; others inherit from it.

    Attributes:
        empty_is_none: Whether an empty text is one that was not given, as in forms.
    """

    empty_is_none: ClassVar[bool] = False


_ASKED = web.RequestKey("parameters", Parameters)


class PlaceParameters(Parameters, frozen=True, kw_only=True):
    """Which target on which network is wanted."""

    target: Text = ""
    country: Country | None = None
    asn: Asn | None = None

    def place(self) -> Selection:
        """The target and network that they select."""
        return Selection(
            target=self.target,
            country=(self.country or "").upper(),
            asn=int(self.asn.upper().removeprefix("AS")) if self.asn else -1,
        )


class SelectionParameters(PlaceParameters, frozen=True, kw_only=True):
    """Which records are wanted."""

    input: Text = ""
    outcome: OutcomeWord | None = None
    experiment: ExperimentWord | None = None
    role: Literal["probe", "control"] | None = None
    since: Instant | None = None
    until: Instant | None = None

    def selection(self) -> Selection:
        """The records that they select."""
        return replace(
            self.place(),
            input=(target_labels.normalise(self.input) or self.input) if self.input else "",
            outcome=self.outcome or "",
            experiment=self.experiment or "",
            role=self.role or "",
            since=0.0 if self.since is None else float(self.since),
            until=EVERY if self.until is None else float(self.until),
        )


def parse(query: "MultiMapping[str]", type_: type[P]) -> P:
    """The parameters of a query string.

    Raises:
        Refused: One is unknown, given twice or unusable.
    """
    values = _values(query, type_)
    try:
        asked = msgspec.convert(values, type_, strict=False, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise Refused(400, "malformed", _message(str(error), type_)) from error
    for name in values:
        # msgspec reads the word `null` as none given.
        if getattr(asked, name) is None:
            raise unusable(name, descriptions(type_)[name], type_)
    return asked


def of(request: web.Request, type_: type[P]) -> P:
    """The parameters of this request, which were parsed before its handler was called."""
    asked = request[_ASKED]
    if not isinstance(asked, type_):
        raise TypeError(f"{request.path} has other parameters")
    return asked


def checked(handler: RouteHandler, type_: type[Parameters]) -> RouteHandler:
    """A handler that is called only with usable parameters."""

    async def handle(request: web.Request) -> web.StreamResponse:
        request[_ASKED] = parse(request.query, type_) if request.query_string else type_()
        return await handler(request)

    return handle


def _values(query: "MultiMapping[str]", type_: type[Parameters]) -> dict[str, object]:
    described = descriptions(type_)
    values: dict[str, object] = {}
    for name in dict.fromkeys(query):
        given = query.getall(name)
        if type_.empty_is_none and name in described and given == [""]:
            continue
        if described.get(name, "").startswith("any number"):
            values[name] = given
        elif len(given) > 1 and name in described:
            raise Refused(
                400, "malformed", f"{name}: expected once; it is there {len(given)} times"
            )
        else:
            values[name] = given[0]
    return values


def _decode(type_: type, value: object) -> object:
    if type_ is not Instant or not isinstance(value, str):
        raise TypeError("no such type")
    at = record_row.instant(f"{value}T00:00:00Z" if _DAY.fullmatch(value) else value)
    if at is None or not _EARLIEST <= at < _LATEST:
        raise ValueError("no instant")
    return Instant(at)


def _message(error: str, type_: type[Parameters]) -> str:
    """One line: the parameter, what was expected, and what there is."""
    described = descriptions(type_)
    found = _FIELD.search(error)
    name = (found[1] or found[2]) if found else ""
    shown = "".join(c if c.isprintable() and c.isascii() else "?" for c in name)
    if name in described:
        return f"{name}: {described[name]} expected; {_listed(described)}"
    return f"{shown or 'parameter'}: unknown; {_listed(described)}"


def unusable(name: str, expected: str, type_: type[Parameters]) -> Refused:
    """The refusal of a value that only a handler can check."""
    return Refused(400, "malformed", f"{name}: {expected} expected; {_listed(descriptions(type_))}")


def _listed(described: Mapping[str, str]) -> str:
    if not described:
        return "no parameters are expected here"
    return f"parameters here: {', '.join(described)}"


def descriptions(type_: type[Parameters]) -> dict[str, str]:
    """What each parameter of a route has to be, by its name."""
    hints = get_type_hints(type_, include_extras=True)
    return {name: _described(hints[name]) for name in type_.__struct_fields__}


def _described(hint: Any) -> str:
    if hint is Instant:
        return "a day (2026-11-21) or an RFC 3339 instant, from 1970 to 2099,"
    if get_origin(hint) is Annotated:
        return next(one.description for one in get_args(hint)[1:] if isinstance(one, Meta)) or ""
    if get_origin(hint) is Literal:
        return ", ".join(get_args(hint)[:-1]) + f" or {get_args(hint)[-1]}"
    if get_origin(hint) is tuple:
        return f"any number of {_described(get_args(hint)[0])}"
    return _described(next(one for one in get_args(hint) if one is not type(None)))
