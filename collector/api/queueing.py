"""Handlers that wait for their turn to read."""

from aiohttp import web

from collector.api.http import Refused, RouteHandler
from collector.read_queue import QueueFull
from collector.service import SERVICE, QueueName


def queued(handler: RouteHandler, name: QueueName) -> RouteHandler:
    """A handler that is called when it is its turn."""

    async def handle(request: web.Request) -> web.StreamResponse:
        service = request.app[SERVICE]
        try:
            async with service.queues[name].turn(service.network(request)):
                return await handler(request)
        except QueueFull as full:
            raise Refused(503, "readers", str(full), retry_after=full.retry_after) from full

    return handle
