"""HTTP/1.1 without I/O: h11 parses the response, and a lenient parser reads what h11 rejects.

An injected page often has no status line, or headers that a strict parser rejects. So the first
bytes are kept until a head was parsed.
"""

import h11

from probe.net.http1_lenient import HEAD_LIMIT, ResponseHead, read_head, unchunk
from probe.net.http_response import Headers, HttpResponse

_MAX_INTERIM = 4 * HEAD_LIMIT


class Http1:
    """One request and its response on one connection."""

    def __init__(self, answer: HttpResponse) -> None:
        self._answer = answer
        self._parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_LIMIT)
        self._raw = bytearray()
        self._strict = True
        self._head: ResponseHead | None = None

    def request(
        self, method: bytes, target: str, headers: Headers, body: bytes | None = None
    ) -> bytes:
        """The bytes of a request."""
        asked = h11.Request(method=method, target=target.encode(), headers=headers)
        data = self._parser.send(asked) or b""
        if body is not None:
            data += self._parser.send(h11.Data(data=body)) or b""
        return data + (self._parser.send(h11.EndOfMessage()) or b"")

    def feed(self, data: bytes) -> None:
        """Process received bytes."""
        if self._answer.status is None:
            self._raw += data
            if self._strict and len(self._raw) > _MAX_INTERIM:
                self._answer.fail("endless")  # endless interim responses
                return
        if self._strict:
            self._read(data)
        elif not self._needs_more():
            self._parse_leniently()

    def end(self) -> None:
        """The peer closed: parse what is left."""
        if self._answer.ended:
            return
        if not self._raw:
            self._answer.fail("eof")
        elif self._strict:
            self._read(b"")
        if self._answer.ended:
            return
        if self._answer.status is None:
            self._parse_leniently()
        else:
            self._answer.fail("eof")

    def _read(self, data: bytes) -> None:
        try:
            self._parser.receive_data(data)
            while not self._answer.ended and self._take(self._parser.next_event()):
                pass
        except h11.RemoteProtocolError:
            self._strict = False
            if self._answer.status is not None:
                # The head was valid; the body is cut short or its framing is invalid.
                self._answer.fail("framing" if data else "eof")
            elif data and not self._needs_more():
                self._parse_leniently()

    def _take(self, event: object) -> bool:
        """Process one event of h11; False if there is none for now."""
        answer = self._answer
        if isinstance(event, h11.Response):
            answer.status = event.status_code
            answer.version = event.http_version.decode("ascii", "replace")
            answer.headers = [(bytes(name), bytes(value)) for name, value in event.headers]
        elif isinstance(event, h11.Data):
            answer.add(event.data)
        elif isinstance(event, h11.EndOfMessage):
            answer.finish()
        return isinstance(event, h11.Response | h11.Data | h11.InformationalResponse)

    def _needs_more(self) -> bool:
        """Whether the lenient parser should wait for more bytes."""
        if len(self._raw) >= self._answer.cap + HEAD_LIMIT:
            return False
        self._head = self._head or read_head(bytes(self._raw))
        if self._head is None:
            return True
        body = len(self._raw) - self._head.body_at
        if self._head.chunked:
            return not self._raw.endswith(b"0\r\n\r\n")
        return self._head.length is None or body < self._head.length

    def _parse_leniently(self) -> None:
        """Parse the kept bytes leniently; without a head the response is malformed."""
        answer, raw = self._answer, bytes(self._raw)
        head = self._head or read_head(raw)
        if head is None:
            answer.malformed = True
            answer.add(raw)
            answer.finish()
            return
        answer.version, answer.status, answer.headers = head.version, head.status, head.headers
        body, whole = raw[head.body_at :], True
        if head.chunked:
            body, whole = unchunk(body)
        elif head.length is not None:
            body, whole = body[: head.length], len(body) >= head.length
        answer.add(body)
        if whole:
            answer.finish()
        elif not answer.ended:
            answer.fail("eof")
