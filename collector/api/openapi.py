"""GET /v1/openapi.json: what every route takes and gives, made from the declarations of routes."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from aiohttp import web

from collector.api.lists import RowsPage, columns, give_json, row_type
from collector.api.parameters import Instant, Parameters, descriptions
from collector.api.routes import Route
from probe import __version__
from probe.api_types import Problem

DESCRIPTION: web.AppKey[dict[str, Any]] = web.AppKey("openapi", dict)
_REF = "#/components/schemas/{name}"
_LEAP = "02-(0[1-9]|1[0-9]|2[0-8])"
_DAY = (
    r"(19[7-9][0-9]|20[0-9]{2})-"
    rf"((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|{_LEAP})"
)
# A narrower text than what is understood: the zone as Z, no leap day.
INSTANT = rf"^{_DAY}(T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{{1,6}})?Z)?$"
_WORDS = re.compile(r"\^\((\w+(?:\|\w+)*)\)\$")
_ABOUT = """Measurements of interference with websites, and what a collector concludes from them.

Lists are JSON or CSV, by `format` or the header Accept; `next`, which is also the header Link, is \
the `cursor` of the next page. Each has an ETag, and is compressed by gzip or zstd where the \
client accepts that. An unknown or unusable parameter is a 400 that names it.

Rows with `coarse: true` are of networks with few probes: their times are whole hours, and what \
would tell who measured is null. `since` and `until` select them by the time that they show."""
_TITLES: Mapping[int, str] = {
    206: "A part of it.",
    304: "It has not changed.",
    400: "A parameter is unknown or unusable, or the body is not understood.",
    401: "The signature or token is missing or wrong.",
    403: "This is not allowed.",
    404: "There is none here.",
    408: "The body took too long.",
    409: "The request was carried out before, or the key has another role.",
    413: "The body is too large.",
    415: "The body has another type.",
    416: "There is no such part.",
    429: "Too many requests; the header Retry-After says when to come again.",
    501: "It is not installed here.",
    503: "The collector is busy; the header Retry-After says when to come again.",
}
_ALWAYS = (400, 429, 503)
_SIGNED = (401, 403, 408, 409, 413, 415)
_SECURITY: Mapping[str, Mapping[str, str]] = {
    "operator": {
        "type": "http",
        "scheme": "bearer",
        "description": "The operator's token: everything in full detail.",
    },
    "key": {
        "type": "apiKey",
        "in": "header",
        "name": "Qaz-Key",
        "description": "The id of an enrolled key.",
    },
    "created": {
        "type": "apiKey",
        "in": "header",
        "name": "Qaz-Created",
        "description": "When the request was signed, Unix time.",
    },
    "signature": {
        "type": "apiKey",
        "in": "header",
        "name": "Qaz-Signature",
        "description": "Ed25519 over the collector's id, method, path, time and body, in Base64.",
    },
}


async def get_openapi(request: web.Request) -> web.Response:
    """This description of all routes, as OpenAPI 3.1."""
    return await give_json(request, request.app[DESCRIPTION])


def described(routes: Sequence[Route]) -> dict[str, Any]:
    """The description of some routes."""
    types = _types(routes)
    schemas, components = msgspec.json.schema_components(
        types, schema_hook=_custom, ref_template=_REF
    )
    by_type = dict(zip(types, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        at = paths.setdefault(route.path, {})
        at[route.method.lower()] = _operation(route, by_type)
        if route.method == "GET" and route.access != "signed":
            at["head"] = _operation(route, by_type, head=True)
    return {
        "openapi": "3.1.0",
        "info": {"title": "qazprobe collector", "version": __version__, "description": _ABOUT},
        "paths": paths,
        "components": {"schemas": _portable(components), "securitySchemes": dict(_SECURITY)},
    }


def _types(routes: Iterable[Route]) -> list[type]:
    named = [one for route in routes for one in (route.reply, route.body) if one is not None]
    return list(dict.fromkeys([*named, Problem]))


def _custom(type_: type) -> dict[str, Any]:
    if type_ is Instant:
        return {"type": "string", "pattern": INSTANT, "examples": ["2026-11-21"]}
    raise NotImplementedError


def _portable(schema: Any) -> Any:
    """A schema with patterns as JSON Schema has them (ECMA 262), not as Python does."""
    if isinstance(schema, Mapping):
        return {
            name: _pattern(value) if name == "pattern" else _portable(value)
            for name, value in schema.items()
        }
    if isinstance(schema, Sequence) and not isinstance(schema, str):
        return [_portable(one) for one in schema]
    return schema


def _choices(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema with a list of words, where it has a pattern of nothing else."""
    found = _WORDS.fullmatch(str(schema.get("pattern", "")))
    if found is None:
        return dict(schema)
    return {"type": "string", "enum": found[1].split("|")}


def _pattern(text: object) -> object:
    # JSON in UTF-8 has no lone surrogates that a pattern would have to exclude.
    return str(text).replace(r"\Z", "$").replace(r"\ud800-\udfff", "")


def _operation(
    route: Route, by_type: Mapping[type, Mapping[str, Any]], *, head: bool = False
) -> dict[str, Any]:
    """One method on one path."""
    responses = {"200": _answer(route, by_type, head=head)}
    for status in sorted({*_ALWAYS, *route.statuses, *_implied(route)}):
        # Neither HEAD nor 304 has a body.
        bare = head or status in {206, 304}
        responses[str(status)] = _failure(status, {} if bare else by_type[Problem])
    found: dict[str, Any] = {
        "operationId": _name(route, head=head),
        "summary": route.summary,
        "parameters": [*_path_parameters(route), *_query_parameters(route.parameters)],
        "responses": responses,
    }
    if route.access == "signed":
        found["security"] = [{"key": [], "created": [], "signature": []}]
    elif route.access == "open":
        found["security"] = [{}, {"operator": []}]
    if body := _body(route, by_type):
        found["requestBody"] = {"required": True, "content": body}
    return found


def _implied(route: Route) -> tuple[int, ...]:
    """The statuses that follow from what kind of route it is."""
    implied = (*_SIGNED,) if route.access == "signed" else ()
    with_body = (401, 403, 408, 409, 413, 415) if route.body or route.body_media else ()
    return (*implied, *with_body, *((304, 401) if route.access == "open" else ()))


def _name(route: Route, *, head: bool) -> str:
    """A name for generated clients."""
    words = [part.strip("{}").replace(".", "_") for part in route.path.split("/") if part]
    return "_".join(["head" if head else route.method.lower(), *words])


def _answer(
    route: Route, by_type: Mapping[type, Mapping[str, Any]], *, head: bool
) -> dict[str, Any]:
    found: dict[str, Any] = {"description": route.summary}
    if head:
        return found
    schema = by_type[route.reply] if route.reply is not None else {}
    json_types = {"application/json"}
    found["content"] = {
        media: {"schema": schema} if media in json_types else _text(route, media)
        for media in route.media
    }
    if route.reply is not None and "next" in getattr(route.reply, "__struct_fields__", ()):
        link = 'The next page, as `<URL>; rel="next"`.'
        found["headers"] = {"Link": {"description": link, "schema": {"type": "string"}}}
    return found


def _text(route: Route, media: str) -> dict[str, Any]:
    """What a response is that is no JSON; of CSV the columns."""
    schema: dict[str, Any] = {"type": "string"}
    if media == "text/csv" and route.reply is not None and issubclass(route.reply, RowsPage):
        schema["description"] = "Columns: " + ", ".join(columns(row_type(route.reply)))
    return {"schema": schema}


def _failure(status: int, schema: Mapping[str, Any]) -> dict[str, Any]:
    if not schema:
        return {"description": _TITLES[status]}
    content: dict[str, Any] = {"application/json": {"schema": schema}}
    if status == 400:
        # What is no HTTP, or too long a line, is refused before there is a route.
        content["text/plain"] = {"schema": {"type": "string"}}
    return {"description": _TITLES[status], "content": content}


def _body(route: Route, by_type: Mapping[type, Mapping[str, Any]]) -> dict[str, Any]:
    if route.body is not None:
        return {"application/json": {"schema": by_type[route.body]}}
    if route.body_media is not None:
        schema = {"type": "string", "format": "binary"}
        return {route.body_media: {"schema": schema}}
    return {}


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    names = [part.strip("{}") for part in route.path.split("/") if part.startswith("{")]
    schema = {"type": "string", "minLength": 1}
    return [{"name": name, "in": "path", "required": True, "schema": schema} for name in names]


def _query_parameters(type_: type[Parameters]) -> list[dict[str, Any]]:
    (top,), components = msgspec.json.schema_components(
        [type_], schema_hook=_custom, ref_template="{name}"
    )
    properties = components[top["$ref"]]["properties"]
    said = descriptions(type_)
    return [
        {
            "name": name,
            "in": "query",
            "description": said[name].rstrip(","),
            "schema": _or_empty(_choices(_portable(_without_null(schema))), type_),
        }
        for name, schema in properties.items()
    ]


def _or_empty(schema: dict[str, Any], type_: type[Parameters]) -> dict[str, Any]:
    """Forms send fields that were left empty, too."""
    if not type_.empty_is_none or schema == {"type": "string"}:
        return schema
    return {"anyOf": [schema, {"type": "string", "maxLength": 0}]}


def _without_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A parameter that is left out is none; there is no other way to give null."""
    kept = {name: value for name, value in schema.items() if name not in {"default", "description"}}
    default = schema.get("default")
    choices = [one for one in kept.pop("anyOf", ()) if one != {"type": "null"}]
    if len(choices) == 1:
        kept |= choices[0]
    if isinstance(kept.get("enum"), Sequence):
        kept["enum"] = [one for one in kept["enum"] if one is not None]
    kept.pop("description", None)
    return kept if default in (None, "", []) else {**kept, "default": default}
