"""HTTP/2 without I/O (RFC 9113, by h2)."""

from functools import lru_cache

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hyperframe.frame import Frame, GoAwayFrame

from probe.net.http_response import Headers, HttpResponse

_WINDOW = 1 << 20
_DEFAULT_WINDOW = 65535  # RFC 9113 section 6.9.2
_FRAME_HEAD = 9
_SETTINGS_FRAME = b"\x04"
_CONFIG = H2Configuration(
    client_side=True,
    header_encoding=None,
    # Our own requests need no validation.
    validate_outbound_headers=False,
    normalize_outbound_headers=False,
    # Unusual responses are evidence, not a reason to close.
    validate_inbound_headers=False,
)
_SETTINGS = {SettingCodes.ENABLE_PUSH: 0, SettingCodes.MAX_HEADER_LIST_SIZE: 65536}


class _RememberingCoder(HuffmanEncoder):
    """Requests have most of their header values in common, and coding one takes long."""

    encode = lru_cache(maxsize=64)(HuffmanEncoder.encode)


_CODER = _RememberingCoder(REQUEST_CODES, REQUEST_CODES_LENGTH)


class _Connection(H2Connection):
    """Goes on after a graceful GOAWAY, as RFC 9113 section 6.8 asks; h2 closes the connection."""

    def _receive_goaway_frame(self, frame: GoAwayFrame) -> tuple[list[Frame], list[Event]]:
        state = self.state_machine.state
        answers, events = super()._receive_goaway_frame(frame)
        if frame.error_code == ErrorCodes.NO_ERROR:
            self.state_machine.state = state
        return answers, events


class Http2:
    """One connection; several requests may be in progress.

    With `most`, there is one request, and flow control limits its response to so many bytes.
    """

    def __init__(self, most: int | None = None) -> None:
        window = _WINDOW if most is None else most
        settings = {**_SETTINGS, SettingCodes.INITIAL_WINDOW_SIZE: window}
        self._connection = _Connection(config=_CONFIG)
        self._connection.encoder.huffman_coder = _CODER
        self._connection.local_settings = Settings(client=True, initial_values=settings)
        self._connection.initiate_connection()
        if window > _DEFAULT_WINDOW:
            self._connection.increment_flow_control_window(window)
        self._bounded = most is not None
        self._answers: dict[int, HttpResponse] = {}
        self._first = b""
        self.ended = False
        self.leaving = False

    def can_send(self, size: int) -> bool:
        """Whether the peer's limits allow one more request with a body of `size` bytes."""
        there, theirs = self._connection, self._connection.remote_settings
        room = min(there.outbound_flow_control_window, theirs.initial_window_size)
        return (
            not (self.ended or self.leaving)
            and room >= size
            and there.open_outbound_streams < theirs.max_concurrent_streams
        )

    def request(self, headers: Headers, body: bytes | None, answer: HttpResponse) -> int:
        """Enqueue a request whose response goes into `answer`; return its stream id."""
        stream = self._connection.get_next_available_stream_id()
        self._connection.send_headers(stream, headers, end_stream=body is None)
        if body is not None:
            self._connection.send_data(stream, body, end_stream=True)
        self._answers[stream] = answer
        return stream

    def widen_window(self) -> None:
        """Remove the limit of the responses in progress."""
        self._bounded = False
        for stream in [None, *(n for n, answer in self._answers.items() if not answer.ended)]:
            self._connection.increment_flow_control_window(_WINDOW, stream)

    def outgoing(self) -> bytes:
        """Take the bytes to send."""
        return self._connection.data_to_send() or b""

    def feed(self, data: bytes) -> list[int]:
        """Process received bytes; return the ids of the streams that have ended."""
        if len(self._first) < _FRAME_HEAD:
            self._first += data
            # A server begins with SETTINGS (RFC 9113 section 3.4). Anything else would be parsed as
            # the length of a huge frame.
            if self._first[3:4] not in (b"", _SETTINGS_FRAME):
                return self.end("not_http2", self._first)
        try:
            events = self._connection.receive_data(data)
            for event in events:
                self._take(event)
        except (ProtocolError, ValueError, KeyError) as error:
            return self.end(type(error).__name__, data)
        return self._ended()

    def end(self, why: str, data: bytes = b"") -> list[int]:
        """The connection has ended: fail the responses in progress."""
        self.ended = True
        for answer in self._answers.values():
            if answer.ended:
                continue
            if answer.status is None and data:
                answer.malformed = True
                answer.add(data)
            answer.fail(why)
        return self._ended()

    def forget(self, stream: int) -> None:
        """Drop the response of a stream."""
        self._answers.pop(stream, None)

    def _go_away(self, code: int, last: int) -> None:
        """Fail what the server will not answer; after a graceful GOAWAY, that is what it left."""
        if code:
            self.end(f"goaway {code}")
            return
        self.leaving = True
        for stream, answer in self._answers.items():
            if stream > last and not answer.ended:
                answer.fail("goaway 0")

    def _ended(self) -> list[int]:
        return [stream for stream, answer in self._answers.items() if answer.ended]

    def _give_credit(self, event: DataReceived) -> None:
        """Let the server send as much again; of a limited response, only its padding.

        Padding counts against the window, but not against the limit. h2 itself returns credit in
        portions, which a padded response would wait for.
        """
        size = event.flow_controlled_length
        if not self._bounded:
            self._connection.acknowledge_received_data(size, event.stream_id)
        elif size > len(event.data) and event.stream_ended is None:
            for stream in (event.stream_id, None):
                self._connection.increment_flow_control_window(size - len(event.data), stream)

    def _take(self, event: Event) -> None:
        if isinstance(event, ConnectionTerminated):
            self._go_away(int(event.error_code or 0), event.last_stream_id or 0)
            return
        if isinstance(event, DataReceived):
            self._give_credit(event)
        answer = self._answers.get(getattr(event, "stream_id", None) or 0)
        if answer is None or answer.ended:
            return
        if isinstance(event, ResponseReceived):
            _take_head(answer, event.headers)
        elif isinstance(event, DataReceived):
            answer.add(event.data)
        elif isinstance(event, StreamEnded):
            answer.finish()
        elif isinstance(event, StreamReset):
            answer.fail(f"rst_stream {int(event.error_code or 0)}")


def _take_head(answer: HttpResponse, headers: object) -> None:
    answer.version = "2"
    for name, value in headers:  # type: ignore[attr-defined]
        if name == b":status":
            answer.status = int(value) if value.isdigit() and len(value) == 3 else None
        elif not name.startswith(b":"):
            answer.headers.append((name.lower(), value))
