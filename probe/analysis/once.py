"""Keep what was found out about a record: its rules ask the same questions many times.

Rule: what is kept is shared by all who ask for it, so no user of it changes it.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, Protocol, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class Keeper(Protocol):
    """What belongs to one record, and keeps what was found out about it.

    Attributes:
        kept: The results, by function and arguments.
    """

    kept: dict[Any, Any]


def once(function: F) -> F:
    """Call a function of a `Keeper` and of arguments that can be keys once, and keep its result."""

    @wraps(function)
    def ask(of: Keeper, *arguments: Any, **named: Any) -> Any:
        key = (function, *arguments, *named.items()) if named else (function, *arguments)
        try:
            return of.kept[key]
        except KeyError:
            result = of.kept[key] = function(of, *arguments, **named)
            return result

    return ask  # type: ignore[return-value] # the same signature
