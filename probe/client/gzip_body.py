"""A gzip body of a response, inflated no further than to a limit. Pure."""

import zlib


class TooLongError(ValueError):
    """It inflates to more than the limit."""


def inflated(data: bytes, limit: int) -> bytes:
    """The inflated bytes.

    Raises:
        TooLongError: They are more than the limit.
        zlib.error: It is no gzip.
    """
    body = zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(data, limit + 1)
    if len(body) > limit:
        raise TooLongError
    return body
