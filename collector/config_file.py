"""`--config FILE`: the options of `serve` in TOML, under their own names.

Rule: an unknown key or an unusable value stops the start with one line that names file, key and
what was expected. Options on the command line win over $QAZCOLLECTOR_STORE, and that over the file.
"""

import difflib
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from collector.settings import SettingsError

F = TypeVar("F", bound=Callable[..., Any])

_META = "collector.config"


def config_option(command: F) -> F:
    """The option --config; it has to stand above the options that it gives."""
    option = click.option(
        "--config",
        metavar="FILE",
        type=click.Path(path_type=Path),
        is_eager=True,
        expose_value=False,
        callback=_use,
        help="A TOML file with these options by name; those given on the command line win.",
    )
    return option(command)


def blame(context: click.Context, error: SettingsError) -> SettingsError:
    """The error of a value, with the file and key that it comes from."""
    found: tuple[Path, Mapping[str, object]] | None = context.meta.get(_META)
    if found is None:
        return error
    file, values = found
    for key, value in values.items():
        shown = value if isinstance(value, list) else [value]
        if any(isinstance(one, str) and one and one in str(error) for one in shown):
            return SettingsError(f"{file}: {key}: {error}")
    return error


def _use(context: click.Context, _param: click.Parameter, file: Path | None) -> None:
    if file is None:
        return
    values = _read(file)
    options = {_key(one): one for one in context.command.params if isinstance(one, click.Option)}
    options = {key: one for key, one in options.items() if key not in {"config", "help"}}
    given = {}
    for key, value in values.items():
        name = key.replace("_", "-")
        if name not in options:
            near = difflib.get_close_matches(name, options, 1)
            hint = f"did you mean {near[0]}?" if near else f"keys: {', '.join(sorted(options))}"
            raise SettingsError(f"{file}: {key}: unknown key; {hint}")
        given[options[name].name] = _checked(context, file, key, options[name], value)
    context.default_map = {**(context.default_map or {}), **given}
    context.meta[_META] = (file, values)


def _key(option: click.Option) -> str:
    return max(option.opts, key=len).lstrip("-")


def _read(file: Path) -> dict[str, object]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{file}: text in UTF-8 expected") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file}: {error}") from error


def _checked(
    context: click.Context, file: Path, key: str, option: click.Option, value: object
) -> object:
    """A value of the file, as click takes it."""
    kind = _expected(option)
    if option.multiple:
        value = [value] if isinstance(value, str) else value
        fits = isinstance(value, list) and all(isinstance(one, str) for one in value)
    else:
        fits = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    if not fits:
        raise SettingsError(f"{file}: {key}: {_words(option)} expected")
    try:
        option.type_cast_value(context, value)
    except click.BadParameter as error:
        raise SettingsError(f"{file}: {key}: {error.message}") from error
    return value


def _expected(option: click.Option) -> Any:
    if option.is_flag:
        return bool
    if isinstance(option.type, click.types.FloatParamType):
        return int | float
    return int if isinstance(option.type, click.types.IntParamType) else str


def _words(option: click.Option) -> str:
    if option.multiple:
        return "a list of strings"
    names = {bool: "true or false", int: "a whole number", str: "a string in quotes"}
    return names.get(_expected(option), "a number")
