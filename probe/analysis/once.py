"""Keep what was found out about a record: its rules ask the same questions many times.

Rule: what is kept is shared by all who ask for it, so no user of it changes it.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, Generic, Protocol, Self, TypeVar, overload

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

_UNKNOWN = object()


class Keeper(Protocol):
    """What belongs to one record, and keeps what was found out about it.

    Attributes:
        kept: The results, by function and arguments.
    """

    kept: dict[Any, Any]


class fact(Generic[T]):  # noqa: N801 - used like `property`
    """A property that is computed once, for objects of one thread.

    `functools.cached_property` takes a lock, before Python 3.12, for each value.
    """

    def __init__(self, function: Callable[[Any], T]) -> None:
        self._function = function
        self._name = function.__name__
        self.__doc__ = function.__doc__

    @overload
    def __get__(self, of: None, _: type | None = None) -> Self: ...
    @overload
    def __get__(self, of: object, _: type | None = None) -> T: ...
    def __get__(self, of: object | None, _: type | None = None) -> Self | T:
        if of is None:
            return self
        # The attribute of the object is found before this descriptor from now on.
        value: T = self._function(of)
        of.__dict__[self._name] = value
        return value


def once(function: F) -> F:
    """Call a function of a `Keeper` and of arguments that can be keys once, and keep its result."""
    code = function.__code__
    if code.co_argcount == 1:
        return _of_one(function)
    if code.co_argcount == 2 and not function.__defaults__:
        return _of_two(function)
    return _of_many(function)


# The first two are called a hundred times for a record, so they do without argument lists.
def _of_one(function: F) -> F:
    @wraps(function)
    def ask(of: Keeper) -> Any:
        found = of.kept.get(function, _UNKNOWN)
        if found is _UNKNOWN:
            found = of.kept[function] = function(of)
        return found

    return ask  # type: ignore[return-value] # the same signature


def _of_two(function: F) -> F:
    @wraps(function)
    def ask(of: Keeper, argument: Any) -> Any:
        key = (function, argument)
        found = of.kept.get(key, _UNKNOWN)
        if found is _UNKNOWN:
            found = of.kept[key] = function(of, argument)
        return found

    return ask  # type: ignore[return-value] # the same signature


def _of_many(function: F) -> F:
    @wraps(function)
    def ask(of: Keeper, *arguments: Any) -> Any:
        key = (function, *arguments)
        found = of.kept.get(key, _UNKNOWN)
        if found is _UNKNOWN:
            found = of.kept[key] = function(of, *arguments)
        return found

    return ask  # type: ignore[return-value] # the same signature
