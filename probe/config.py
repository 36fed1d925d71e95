"""Settings: `qazprobe.toml`, then `QAZPROBE_*`, then flags; the later one holds.

One key has one name everywhere: `max_time` in the file, `QAZPROBE_MAX_TIME` in the environment,
`--max-time` on the command line. An unknown key or a value of the wrong kind stops the start with
one line that says where, which key, and what was expected: a typo must not change in silence what a
volunteer's machine contacts.
"""

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import msgspec

from probe.model import Outcome
from probe.paths import VARIABLE as HOME_VARIABLE

FILE = "qazprobe.toml"
PREFIX = "QAZPROBE_"
Options = dict[str, dict[str, object]]
# A list takes minutes: more often floods the line and the sites. A laboratory's are its own.
SHORTEST_EVERY = 60.0


class ConfigError(ValueError):
    """One line: where, which key, what was expected."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be set, with its default. What each means is in `MEANINGS`."""

    targets: tuple[str, ...] = ()
    experiments: tuple[str, ...] = ("web",)
    collector: tuple[str, ...] = ()
    control: str | None = None
    invite: str | None = None
    role: Literal["probe", "control"] = "probe"
    every: float | None = None
    profile: Literal["quick", "full", "watch"] = "full"
    resolver: str | None = None
    resolvers: tuple[str, ...] | None = None
    anchors: tuple[str, ...] | None = None
    ca_file: str | None = None
    lab: bool = False
    concurrency: int = 16
    max_time: float | None = None
    max_bytes: int | None = None
    seed: int | None = None
    upload: bool = True
    quiet: bool = False
    fail_on: tuple[Outcome, ...] = ()
    language: Literal["kk", "ru", "en"] | None = None
    country: str | None = None
    asn: int | None = None
    network: str | None = None
    region: str | None = None
    kind: Literal["fixed", "mobile", "satellite", "hosting"] | None = None
    options: Options = {}


# What each key means, for `config init`, and what it takes, for an error.
MEANINGS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "targets": ("lists to measure: names of bundled lists, files or https URLs", "a list"),
        "experiments": ("what to do with each target", "a list of experiments"),
        "collector": ("where records are sent", "a list of URLs"),
        "control": ("where to ask what others see, when not the collector", 'a URL or "none"'),
        "invite": ("token that enrols this machine at a collector", "text"),
        "role": ("what this machine is", '"probe" or "control"'),
        "every": ("repeat after this long", 'a duration such as "15m", a minute or more'),
        "profile": ("how much to look", '"quick", "full" or "watch"'),
        "resolver": ("ask this resolver instead of the system's", "IP or IP:PORT"),
        "resolvers": ("other resolvers to ask", 'a list of IP or IP:PORT, or "none"'),
        "anchors": ("sites that must work, in place of ours", 'a list of URLs, or "none"'),
        "ca_file": ("a laboratory's roots (with lab only)", "path of a PEM file"),
        "lab": ("everything here is a laboratory", "true or false"),
        "concurrency": ("targets measured at one time", "a whole number, 1 to 256"),
        "max_time": ("stop after this many seconds", "a number above 0"),
        "max_bytes": ("stop after this many bytes, both ways", "a whole number above 0"),
        "seed": ("fixes every random choice", "a whole number"),
        "upload": ("send records to the collector", "true or false"),
        "quiet": ("say nothing when all is well", "true or false"),
        "fail_on": ("outcomes that make a run exit with 10", "a list of outcomes"),
        "language": ("language of consent", '"kk", "ru" or "en"'),
        "country": ("country this machine is in", "two letters, such as KZ"),
        "asn": ("number of its network", "a whole number, such as 9198"),
        "network": ("name of its network", "text"),
        "region": ("region, as coarse as you like", "ISO 3166-2, such as KZ-75"),
        "kind": ("kind of line", '"fixed", "mobile", "satellite" or "hosting"'),
        "options": ("settings of one experiment: [options.NAME]", "a table for each experiment"),
    }
)

_LISTS = frozenset({"targets", "experiments", "collector", "fail_on", "resolvers", "anchors"})
_UNITS: Mapping[str, float] = MappingProxyType(
    {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
)


@dataclass(frozen=True, slots=True)
class Layer:
    """One source of settings: its values, and how an error names each of its keys."""

    values: Mapping[str, object]
    place: str
    spelt: str = "{}"

    def where(self, key: str) -> str:
        """`/etc/qazprobe.toml: max_time`, or `environment: QAZPROBE_MAX_TIME`."""
        name = key.upper() if self.spelt.isupper() else key
        shown = self.spelt.format(name.replace("_", "-") if self.spelt == "--{}" else name)
        return f"{self.place}: {shown}"


def duration(text: str) -> float:
    """Read `90`, `90s`, `15m`, `2h` or `1d` as seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd]?)", text.strip())
    if found is None or float(found[1]) == 0:
        raise ConfigError(f"{text!r} is no duration; expected something like 30s, 15m, 2h or 1d")
    return float(found[1]) * _UNITS[found[2]]


def file_layer(path: Path, *, must_exist: bool) -> Layer:
    """What a configuration file says; an absent one says nothing unless it was named."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        if must_exist:
            raise ConfigError(f"{path}: no such file") from error
        values = {}
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:  # also a number of 5,000 digits
        raise ConfigError(f"{path}: not TOML: {error}") from error
    return Layer(values, str(path))


def environment_layer(environ: Mapping[str, str] | None = None) -> Layer:
    """What `QAZPROBE_*` says; lists are separated by commas."""
    found = os.environ if environ is None else environ
    values: dict[str, object] = {}
    for name, text in found.items():
        if not name.startswith(PREFIX) or name == HOME_VARIABLE:
            continue
        key = name.removeprefix(PREFIX).lower()
        values[key] = text
    return Layer(values, "environment", PREFIX + "{}")


def flag_layer(values: Mapping[str, object]) -> Layer:
    """What the command line says; flags that were not given (None, empty) say nothing."""
    given = {key: value for key, value in values.items() if value not in (None, ())}
    return Layer(given, "command line", "--{}")


def merge(layers: Iterable[Layer]) -> Settings:
    """Check every layer by itself, so that an error names its own place, and merge them."""
    merged: dict[str, object] = {}
    where: dict[str, str] = {}
    for layer in layers:
        merged.update({key: _checked(layer, key, layer.values[key]) for key in layer.values})
        where.update({key: layer.where(key) for key in layer.values})
    settings = msgspec.convert(merged, Settings)
    if settings.every is not None and settings.every < SHORTEST_EVERY and not settings.lab:
        expected = "expected a minute or more outside a laboratory (--lab)"
        raise ConfigError(f"{where['every']}: {settings.every:g} seconds; {expected}")
    if settings.ca_file is not None and not settings.lab:
        raise ConfigError("ca_file: private roots are for a laboratory; add --lab, or remove it")
    return settings


_FIELDS = MappingProxyType({field.name: field for field in msgspec.structs.fields(Settings)})


def _checked(layer: Layer, key: str, value: object) -> object:
    if key not in _FIELDS:
        near = get_close_matches(key, _FIELDS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"expected one of: {', '.join(_FIELDS)}"
        raise ConfigError(f"{layer.where(key)}: unknown key; {hint}")
    expected = MEANINGS[key][1]
    if key in _LISTS:
        value = _split(value)
    try:
        if key == "every" and isinstance(value, str):
            value = duration(value)
        checked = msgspec.convert(value, _FIELDS[key].type, strict=False)
    except (msgspec.ValidationError, ConfigError) as error:
        raise ConfigError(f"{layer.where(key)}: {value!r}; expected {expected}") from error
    if not _sensible(key, checked):
        raise ConfigError(f"{layer.where(key)}: {value!r}; expected {expected}")
    return checked


def _split(value: object) -> object:
    """A list may be written as such, or as one text with commas."""
    parts = [value] if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        return value
    pieces = [piece.strip() for part in parts for piece in part.split(",")]
    return [piece for piece in pieces if piece]


def _sensible(key: str, value: object) -> bool:
    """What a type alone does not say."""
    match key, value:
        case (("max_time" | "every" | "max_bytes" | "asn"), (int() | float())):
            return 0 < value < 2**53
        case "concurrency", int():
            return 1 <= value <= 256
        case "country", str():
            return re.fullmatch("[A-Z]{2}", value) is not None
        case _:
            return True


def template() -> str:
    """A commented configuration file, every key at its default."""
    lines = ["# Configuration of qazprobe. Remove the # before what you want to change.", ""]
    for name, field in _FIELDS.items():
        if name == "options":
            continue
        meaning, takes = MEANINGS[name]
        lines += [f"# {meaning}: {takes}", f"#{name} = {_toml(field.default)}", ""]
    return "\n".join([*lines, "# settings of one experiment", "#[options.web]", ""])


def _toml(value: object) -> str:
    return '""' if value is None else msgspec.json.encode(value).decode()
