"""An aiohttp application behind a listener of ours."""

import logging
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiohttp import web

from collector.listening import Door, listening
from collector.settings import Address

STOP_SECONDS = 5.0
KEEPALIVE_SECONDS = 75.0
# Requests for controls have many `input=` parameters.
_LINE_BYTES = 32 * 1024
# What aiohttp reads ahead of a handler, on each connection.
_READ_AHEAD = 16 * 1024


@asynccontextmanager
async def serving(
    app: web.Application,
    address: Address,
    door: Door,
    *,
    context: ssl.SSLContext | None = None,
    sockets: Sequence[socket.socket] = (),
) -> AsyncIterator[Address]:
    """Serve an application until the context ends; gives the address with the port in use.

    With `sockets` it listens on these and not on the address.
    """
    # aiohttp's own log lines contain client addresses, so they are discarded.
    discarded = logging.Logger("qazcollector.http")  # noqa: LOG001 - apart from every handler
    discarded.addHandler(logging.NullHandler())
    runner = web.AppRunner(
        app,
        access_log=None,
        logger=discarded,
        auto_decompress=False,
        max_line_size=_LINE_BYTES,
        read_bufsize=_READ_AHEAD,
        keepalive_timeout=KEEPALIVE_SECONDS,
        shutdown_timeout=STOP_SECONDS,
    )
    await runner.setup()
    try:
        if runner.server is None:
            raise RuntimeError("no server was set up")
        listener = listening(runner.server, address, door, context=context, sockets=sockets)
        async with listener as at:
            yield at
    finally:
        await runner.cleanup()
