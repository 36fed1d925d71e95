"""What a route declares: its handler, what it takes, what it gives, and to whom.

Rule: everything that is said of routes elsewhere (the checks of parameters, HEAD, CORS, the OpenAPI
description, its tests) is made from these declarations.
"""

from typing import Literal, NamedTuple

from aiohttp import web

from collector.api.http import RouteHandler
from collector.api.parameters import Parameters
from collector.service import QueueName

# `open`: the same for every reader, so that any web page may read it. `own`: depends on the reader.
# `signed`: needs a key's signature.
Access = Literal["open", "own", "signed"]


class Route(NamedTuple):
    """One method on one path.

    Attributes:
        parameters: Of the query string. queue: of its readers.
        reply: Type of the JSON response; None when it is no JSON.
        media: Media types of the response, the default first.
        body: Type of the request's body in JSON. body_media: its media type.
        statuses: Other statuses than 200 that it answers with, beside those of every route.
    """

    method: str
    path: str
    handler: RouteHandler
    parameters: type[Parameters] = Parameters
    queue: QueueName | None = None
    reply: type | None = None
    media: tuple[str, ...] = ("application/json",)
    access: Access = "own"
    body: type | None = None
    body_media: str | None = None
    statuses: tuple[int, ...] = ()

    @property
    def summary(self) -> str:
        """The first line of the handler's docstring."""
        return (self.handler.__doc__ or "").strip().partition("\n")[0]


ROUTE = web.RequestKey("route", Route)

__all__ = ["ROUTE", "Access", "Route", "RouteHandler"]
