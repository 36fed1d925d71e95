"""Lists: pages of rows as JSON or CSV, made from the types of their rows.

Rule: the first field of a page is its rows. A row's fields are the columns of CSV; a part of a row
that has fields itself becomes several columns, and a list or mapping becomes words in one cell.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Literal, get_args, get_type_hints

import msgspec
from aiohttp import web

from collector.admin.export import csv_bytes
from collector.api.negotiation import chosen, give

ListFormat = Literal["json", "csv"]
# So many rows are made into CSV in the event loop; more in a thread.
_FEW = 100


class RowsPage(msgspec.Struct, frozen=True, kw_only=True):
    """A list, or a page of one; the first field has the rows."""

    @property
    def rows(self) -> Sequence[Any]:
        """The rows."""
        found: Sequence[Any] = getattr(self, self.__struct_fields__[0])
        return found

    def table(self) -> list[Sequence[object]]:
        """The rows as a table, its head first."""
        return [columns(row_type(type(self))), *(list(_cells(row)) for row in self.rows)]


def row_type(page: type[RowsPage]) -> type[msgspec.Struct]:
    """The type of a page's rows."""
    first = get_type_hints(page)[page.__struct_fields__[0]]
    found: type[msgspec.Struct] = get_args(first)[0]
    return found


@cache
def columns(row: type[msgspec.Struct]) -> tuple[str, ...]:
    """The columns of a type of row."""
    hints = get_type_hints(row)
    found: list[str] = []
    for name in row.__struct_fields__:
        part = _part(hints[name])
        inner = [f"{name}_{one}" for one in columns(part)] if part is not None else [name]
        found.extend(inner)
    return tuple(found)


def _part(hint: Any) -> type[msgspec.Struct] | None:
    """The type of a part with fields of its own."""
    for one in (hint, *get_args(hint)):
        if isinstance(one, type) and issubclass(one, msgspec.Struct):
            return one if hint is one or type(None) in get_args(hint) else None
    return None


def _cells(row: msgspec.Struct) -> Iterator[object]:
    hints = get_type_hints(type(row))
    for name in row.__struct_fields__:
        value, part = getattr(row, name), _part(hints[name])
        if part is None:
            yield cell(value)
        elif value is None or value is msgspec.UNSET:
            yield from ("" for _ in columns(part))
        else:
            yield from _cells(value)


def cell(value: object) -> object:
    """A value as one cell."""
    if value is None or value is msgspec.UNSET:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return " ".join(f"{key}={one}" for key, one in value.items())
    if isinstance(value, list | tuple):
        return " ".join(str(cell(one)) for one in value)
    return value


async def give_page(
    request: web.Request,
    page: RowsPage,
    asked: ListFormat | None,
    *,
    offered: Sequence[ListFormat] = ("json", "csv"),
) -> web.Response:
    """A page in the format that a client wants; its `next` is also the header Link."""
    format_ = chosen(request, asked, offered)
    headers = {}
    following = getattr(page, "next", None)
    if following:
        url = request.rel_url.update_query(cursor=following)
        headers["Link"] = f'<{url}>; rel="next"'
    if format_ == "json":
        return await give(request, msgspec.json.encode(page), format_, headers=headers)
    name = type(page).__struct_fields__[0]
    headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    table = await asyncio.to_thread(page.table) if len(page.rows) > _FEW else page.table()
    return await give(request, csv_bytes(table), format_, headers=headers)


async def give_json(request: web.Request, data: object) -> web.Response:
    """Data that are no list."""
    return await give(request, msgspec.json.encode(data), "json")
