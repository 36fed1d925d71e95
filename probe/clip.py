"""Clip data to the bounds of its type, so that what a hostile server sent makes no invalid record.

Rule: texts and lists are cut and numbers go to the nearest bound. What cannot be brought within its
bounds (a pattern, a number that is none) becomes the field's default, or leaves its list.
"""

import re
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any, TypeVar

import msgspec
from msgspec import inspect as types

S = TypeVar("S", bound=msgspec.Struct)
Clip = Callable[[Any], Any]


class UnfitError(ValueError):
    """The value has no counterpart within its bounds."""


def within_bounds(data: S) -> S:
    """The same data within the bounds of its type; fields that are within them stay as they are.

    Raises:
        UnfitError: A required field has no such value.
    """
    clipped: S = _struct(type(data))(data)
    return clipped


@cache
def _struct(cls: type[msgspec.Struct]) -> Clip:
    described = types.type_info(cls)
    assert isinstance(described, types.StructType)  # noqa: S101 - for the type checker
    clips = [(field, _clip(field.type)) for field in described.fields]

    def clip(value: msgspec.Struct) -> msgspec.Struct:
        changes: dict[str, Any] = {}
        for field, clip_field in clips:
            old = getattr(value, field.name)
            if old is msgspec.UNSET:
                continue
            new = _field(field, clip_field, old)
            if new is not old:
                changes[field.name] = new
        return msgspec.structs.replace(value, **changes) if changes else value

    return clip


def _field(field: types.Field, clip: Clip, value: Any) -> Any:
    try:
        return clip(value)
    except UnfitError:
        if field.required:
            raise
        factory = field.default_factory
        return field.default if factory is msgspec.NODEFAULT else factory()


def _clip(kind: types.Type) -> Clip:
    """How a value of this type is clipped."""
    clip: Clip = _as_it_is
    match kind:
        case types.StrType():
            clip = partial(_text, kind)
        case types.IntType() | types.FloatType():
            clip = partial(_number, kind)
        case types.StructType():
            clip = _struct(kind.cls)
        case types.VarTupleType():
            clip = partial(_list, _clip(kind.item_type), kind.max_length)
        case types.DictType():
            clip = partial(_mapping, _clip(kind.key_type), _clip(kind.value_type), kind.max_length)
        case types.UnionType():
            clip = _union(kind)
    return clip


def _as_it_is(value: Any) -> Any:
    return value


def _union(kind: types.UnionType) -> Clip:
    """Clip by the class of the value, else as the first type beside None."""
    others = [one for one in kind.types if not isinstance(one, types.NoneType)]
    clips = {cls: _clip(one) for one in others if (cls := _class_of(one)) is not None}
    alone = _clip(others[0])
    return lambda value: None if value is None else clips.get(type(value), alone)(value)


def _class_of(kind: types.Type) -> type | None:
    """The class of a type's values, where it is one that a union may choose by."""
    if isinstance(kind, types.StructType):
        return kind.cls
    known = {types.StrType: str, types.FloatType: float, types.BoolType: bool}
    return known.get(type(kind))


def _text(kind: types.StrType, value: str) -> str:
    if not value.isascii():
        # A lone surrogate has no encoding.
        readable = value.encode("utf-8", "replace").decode()
        value = value if readable == value else readable
    if kind.max_length is not None and len(value) > kind.max_length:
        value = value[: kind.max_length]
    short = len(value) < (kind.min_length or 0)
    if short or (kind.pattern is not None and not re.search(kind.pattern, value)):
        raise UnfitError(value)
    return value


def _number(kind: types.IntType | types.FloatType, value: float) -> float:
    if value != value:  # noqa: PLR0124 - NaN
        raise UnfitError(str(value))
    least, most = kind.ge, kind.le
    value = value if most is None else min(value, most)
    return value if least is None else max(value, least)


def _list(item: Clip, most: int | None, values: tuple[Any, ...]) -> tuple[Any, ...]:
    clipped = tuple(_each(item, values[:most]))
    same = len(clipped) == len(values) and all(map(_is, clipped, values))
    return values if same else clipped


def _each(item: Clip, values: tuple[Any, ...]) -> list[Any]:
    found = []
    for value in values:
        try:
            found.append(item(value))
        except UnfitError:
            continue
    return found


def _mapping(key: Clip, item: Clip, most: int | None, values: Mapping[Any, Any]) -> Any:
    """Entries that do not fit are left out: half a certificate is none."""
    fitting = {
        name: value
        for name, value in list(values.items())[:most]
        if _fits(key, name) and _fits(item, value)
    }
    return values if len(fitting) == len(values) else fitting


def _fits(clip: Clip, value: Any) -> bool:
    try:
        return clip(value) is value
    except UnfitError:
        return False


def _is(one: Any, other: Any) -> bool:
    return one is other
