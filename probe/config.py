"""Settings: flags override `QAZPROBE_*` variables, which override `qazprobe.toml`.

A key has the same name everywhere: `max_time` in the file, `QAZPROBE_MAX_TIME` in the environment,
`--max-time` on the command line. An unknown key or an invalid value is an error that names the
source, the key and the expected value: a typo must not silently change what a volunteer's machine
contacts.
"""

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import msgspec

from probe.categories import CategoryChoice, CategoryError
from probe.i18n import _
from probe.paths import VARIABLE as HOME_VARIABLE

FILE = "qazprobe.toml"
PREFIX = "QAZPROBE_"
Options = dict[str, dict[str, object]]
# Every outcome; and `unmeasured`: targets were left out.
FailOn = Literal[
    "ok",
    "blocked",
    "intercepted",
    "throttled",
    "refused",
    "down",
    "inconclusive",
    "unmeasured",
]
# Seconds. Shorter periods would load the connection and the sites; laboratories are exempt.
SHORTEST_EVERY = 60.0


class ConfigError(ValueError):
    """An invalid setting; the message is one line: source, key, expected value."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings with their defaults; `MEANINGS` describes them."""

    targets: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    list_mirror: str | None = None
    experiments: tuple[str, ...] = ()
    collector: tuple[str, ...] = ()
    control: str | None = None
    invite: str | None = None
    role: Literal["probe", "control"] = "probe"
    every: float | None = None
    profile: Literal["quick", "full", "watch"] = "full"
    resolver: str | None = None
    resolvers: tuple[str, ...] | None = None
    anchors: tuple[str, ...] | None = None
    asn_table: str | None = None
    ca_file: str | None = None
    lab: bool = False
    concurrency: int = 16
    max_time: float | None = None
    max_bytes: int | None = None
    unmetered_only: bool = False
    min_battery: int = 0
    seed: int | None = None
    upload: bool = True
    quiet: bool = False
    fail_on: tuple[FailOn, ...] = ()
    textfile: str | None = None
    notify: str | tuple[str, ...] | None = None
    accept_risk: tuple[
        Literal["trace", "tor", "openvpn", "wireguard", "vpn", "helper", "mlab"], ...
    ] = ()
    language: Literal["kk", "ru", "en"] | None = None
    country: str | None = None
    asn: int | None = None
    network: str | None = None
    region: str | None = None
    kind: Literal["fixed", "mobile", "satellite", "hosting"] | None = None
    options: Options = {}


_FIELDS = MappingProxyType({field.name: field for field in msgspec.structs.fields(Settings)})
# Description of each key for `config init`, and its expected value for errors.
MEANINGS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "targets": (
            "target lists: names of bundled lists, citizenlab:kz, files or https URLs",
            "a list",
        ),
        "categories": (
            "categories of sites: +LGBT adds one, -NEWS leaves one out, NEWS means only this one",
            "a list of Citizen Lab's codes, all with a sign or all without",
        ),
        "list_mirror": (
            "folder with Citizen Lab's lists, in place of the usual one",
            "an https URL",
        ),
        "experiments": (
            "experiments to run on each target, in place of the profile's",
            "a list of experiments",
        ),
        "collector": ("collectors that records are sent to", "a list of URLs"),
        "control": (
            "collector for control measurements, if another one; or a test helper of OONI's",
            'a URL, ooni:URL or "none"',
        ),
        "invite": ("token that enrols this machine at a collector", "text"),
        "role": ("role of this machine", '"probe" or "control"'),
        "every": ("repeat at this interval", 'a duration such as "15m", a minute or more'),
        "profile": (
            "what is measured: a little of everything, everything, or a few sites each hour",
            '"quick", "full" or "watch"',
        ),
        "resolver": ("resolver to use in place of the system's", "IP or IP:PORT"),
        "resolvers": (
            "public resolvers to use in place of the bundled ones",
            'a list of IP or IP:PORT, or "none"',
        ),
        "anchors": (
            "anchors (sites that must work) in place of the bundled ones",
            'a list of URLs, each followed by foreign, domestic or essential if need be; or "none"',
        ),
        "asn_table": (
            (
                "table of networks in the format of iptoasn.com: records then name the networks of"
                " the resolver and of routers"
            ),
            "path of a file",
        ),
        "ca_file": ("root certificates of a test laboratory (with lab only)", "path of a PEM file"),
        "lab": ("this is a test laboratory", "true or false"),
        "concurrency": ("targets measured in parallel", "a whole number, 1 to 256"),
        "max_time": ("stop after this many seconds", "a number above 0"),
        "max_bytes": ("stop after this many bytes, both ways", "a whole number above 0"),
        "unmetered_only": ("measure nothing on a metered connection", "true or false"),
        "min_battery": (
            "measure nothing on battery below this charge, in percent",
            "a whole number, 0 to 100",
        ),
        "seed": ("seed of every random choice", "a whole number"),
        "upload": ("send records to the collector", "true or false"),
        "quiet": ("print problems only", "true or false"),
        "accept_risk": (
            "experiments and lists whose risk you accept, for scripts",
            "a list of: trace, tor, openvpn, wireguard, vpn, helper",
        ),
        "fail_on": ("outcomes that make a run exit with 10", "a list of outcomes"),
        "textfile": (
            "write the result for node_exporter's textfile collector to this file",
            "path of a file",
        ),
        "notify": (
            "tell what changed since the last run: on the desktop, or to a command",
            '"desktop", or a list of a command and its arguments',
        ),
        "language": ("language of the program", '"kk", "ru" or "en"'),
        "country": ("country this machine is in", "two letters, such as KZ"),
        "asn": ("AS number of its network", "a whole number, such as 9198"),
        "network": ("name of its network", "text"),
        "region": ("region, only if you want to publish it", "ISO 3166-2, such as KZ-75"),
        "kind": ("kind of connection", '"fixed", "mobile", "satellite" or "hosting"'),
        "options": ("settings of one experiment: [options.NAME]", "a table for each experiment"),
    }
)

_LISTS = frozenset(
    {
        "targets",
        "categories",
        "experiments",
        "collector",
        "fail_on",
        "accept_risk",
        "resolvers",
        "anchors",
    }
)
_UNITS: Mapping[str, float] = MappingProxyType(
    {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
)


class Layer(msgspec.Struct, frozen=True):
    """One source of settings: its values, and how errors refer to its keys."""

    values: Mapping[str, object]
    source: str
    key_format: str = "{}"

    def where(self, key: str) -> str:
        """Return `/etc/qazprobe.toml: max_time`, or `environment: QAZPROBE_MAX_TIME`."""
        name = key.upper() if self.key_format.isupper() else key
        name = name.replace("_", "-") if self.key_format == "--{}" else name
        return f"{self.source}: {self.key_format.format(name)}"


def duration(text: str) -> float:
    """Parse `90`, `90s`, `15m`, `2h` or `1d` into seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd]?)", text.strip())
    if found is None or float(found[1]) == 0:
        raise ConfigError(
            _("{text!r} is not a duration; expected for example 30s, 15m, 2h or 1d").format(
                text=text
            )
        )
    return float(found[1]) * _UNITS[found[2]]


def file_layer(path: Path, *, must_exist: bool) -> Layer:
    """Read a configuration file; a missing one is empty, or an error if `must_exist`."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        if must_exist:
            raise ConfigError(_("{path}: no such file").format(path=path)) from error
        values = {}
    except OSError as error:
        raise ConfigError(
            _("{path}: cannot be read ({reason})").format(path=path, reason=_(error.strerror or ""))
        ) from error
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits is one
        raise ConfigError(_("{path}: not TOML: {error}").format(path=path, error=error)) from error
    return Layer({key: one for key, one in values.items() if not _is_unset(key, one)}, str(path))


def _is_unset(key: str, value: object) -> bool:
    """Whether a value of the file means the default: an empty text where there is none."""
    field = _FIELDS.get(key)
    return value == "" and field is not None and field.default is None


def environment_layer(environ: Mapping[str, str] | None = None) -> Layer:
    """Read the `QAZPROBE_*` variables; lists are separated by commas."""
    found = os.environ if environ is None else environ
    values: dict[str, object] = {}
    for name, text in found.items():
        if not name.startswith(PREFIX) or name == HOME_VARIABLE:
            continue
        key = name.removeprefix(PREFIX).lower()
        values[key] = text
    return Layer(values, "environment", PREFIX + "{}")


def flag_layer(values: Mapping[str, object]) -> Layer:
    """Make a layer of command-line flags, without those that were not given (None, empty)."""
    given = {key: value for key, value in values.items() if value not in (None, ())}
    return Layer(given, _("command line"), "--{}")


def merge(layers: Iterable[Layer]) -> Settings:
    """Validate each layer, so that an error names its source, and merge them in order."""
    merged: dict[str, object] = {}
    where: dict[str, str] = {}
    for layer in layers:
        merged.update({key: _checked(layer, key, layer.values[key]) for key in layer.values})
        where.update({key: layer.where(key) for key in layer.values})
    if isinstance(options := merged.get("options"), dict):  # a table without a setting is none
        merged["options"] = {name: given for name, given in options.items() if given}
    settings = msgspec.convert(merged, Settings)
    if settings.every is not None and settings.every < SHORTEST_EVERY and not settings.lab:
        expected = _("expected a minute or more outside a test laboratory (--lab)")
        given = _("{seconds:g} seconds").format(seconds=settings.every)
        raise ConfigError(f"{where['every']}: {given}; {expected}")
    if settings.ca_file is not None and not settings.lab:
        raise ConfigError(
            _("ca_file: private roots are for test laboratories; add --lab, or remove it")
        )
    return settings


def _checked(layer: Layer, key: str, value: object) -> object:
    if key not in _FIELDS:
        raise ConfigError(_unknown(layer, key))
    if key in _LISTS:
        value = _split(value)
    if value == [""] and key != "experiments":  # the runner knows which experiments there are
        raise ConfigError(
            _("{where}: an empty text; expected {expected}").format(
                where=layer.where(key), expected=_(MEANINGS[key][1])
            )
        )
    try:
        checked = _converted(key, value)
    except CategoryError as error:
        raise ConfigError(f"{layer.where(key)}: {error}") from error
    except (msgspec.ValidationError, ConfigError) as error:
        raise ConfigError(_not_expected(layer, key, value)) from error
    if not _in_range(key, checked):
        raise ConfigError(_not_expected(layer, key, value))
    return checked


def _converted(key: str, value: object) -> object:
    """The value as the type of the setting."""
    if key == "categories" and isinstance(value, list):
        CategoryChoice().changed([str(word) for word in value])
    if key == "every" and isinstance(value, str):
        value = duration(value)
    return msgspec.convert(value, _FIELDS[key].type, strict=False)


def _unknown(layer: Layer, key: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(key, _FIELDS, n=1)
    hint = (
        _("did you mean {near}?").format(near=near[0])
        if near
        else _("expected one of: {keys}").format(keys=", ".join(_FIELDS))
    )
    return _("{where}: unknown key; {hint}").format(where=layer.where(key), hint=hint)


def _not_expected(layer: Layer, key: str, value: object) -> str:
    return _("{where}: {value!r}; expected {expected}").format(
        where=layer.where(key), value=value, expected=_(MEANINGS[key][1])
    )


def _split(value: object) -> object:
    """Split a list that is given as one text with commas; of empty texts one is left."""
    parts = [value] if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        return value
    pieces = [piece.strip() for part in parts for piece in part.split(",")]
    return [piece for piece in pieces if piece] or pieces[:1]


def _in_range(key: str, value: object) -> bool:
    """Check the constraints that the type does not express."""
    match key, value:
        case (("max_time" | "every" | "max_bytes" | "asn"), (int() | float())):
            return 0 < value < 2**53
        case "min_battery", int():
            return 0 <= value <= 100
        case "concurrency", int():
            return 1 <= value <= 256
        case "country", str():
            return re.fullmatch("[A-Z]{2}", value) is not None
        case _:
            return True


def template() -> str:
    """Return a configuration file with every key at its default, commented out.

    Sentences begin with two signs, so that a file in which every first # is removed is valid too.
    """
    lines = [
        "## " + _("Configuration of qazprobe. Remove the # before a setting to change it."),
        "## " + _('A setting that is "" or [] is not set.'),
        "",
    ]
    for name, field in _FIELDS.items():
        if name == "options":
            continue
        meaning, expected = MEANINGS[name]
        default = "" if field.default is None else field.default
        toml = msgspec.json.encode(default).decode()
        lines += [f"## {_(meaning)}: {_(expected)}", f"#{name} = {toml}", ""]
    return "\n".join([*lines, "## " + _("settings of one experiment"), "#[options.web]", ""])
