"""The frames that a client counts: agreed with a library, and no bytes break them."""

from contextlib import suppress

import pytest
from hypothesis import given, strategies as st
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage

from probe.interop.ndt7.frames import BINARY, PONG, FrameCounter, client_frame, control_frame
from probe.net.attempt import NetworkEvent

MESSAGES = st.lists(
    st.builds(BytesMessage, st.binary(max_size=70_000), message_finished=st.just(True))  # noqa: FBT003 - positional in its library
    | st.builds(TextMessage, st.text(max_size=200))
    | st.builds(Ping, st.binary(max_size=125)),
    max_size=12,
)


@given(MESSAGES, st.integers(1, 5000))
def test_what_a_library_sends_is_counted_to_the_byte(messages: list[object], step: int) -> None:
    library = Connection(ConnectionType.SERVER)
    sent = b"".join(library.send(one) for one in messages)  # type: ignore[arg-type] # its events
    counter = FrameCounter()
    for at in range(0, len(sent), step):
        counter.feed(sent[at : at + step])
    assert counter.binary == sum(len(m.data) for m in messages if isinstance(m, BytesMessage))
    assert not counter.closed
    library.receive_data(bytes(counter.pongs))
    pongs = [one.payload for one in library.events() if isinstance(one, Pong)]
    assert pongs == [one.payload for one in messages if isinstance(one, Ping)]


@given(st.binary(max_size=300), st.sampled_from([1, 7, 300]))
def test_no_bytes_break_it(data: bytes, step: int) -> None:
    counter = FrameCounter()
    with suppress(NetworkEvent):
        for at in range(0, len(data), step):
            counter.feed(data[at : at + step])
    assert counter.binary <= len(data)
    assert len(counter.pongs) <= 10 * len(data)


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_a_library_reads_what_a_client_sends(size: int) -> None:
    library = Connection(ConnectionType.SERVER)
    library.receive_data(client_frame(BINARY, bytes(size)))
    events = list(library.events())
    assert sum(len(one.data) for one in events if isinstance(one, BytesMessage)) == size
    assert not any(isinstance(one, CloseConnection) for one in events)


def test_two_frames_have_two_masks() -> None:
    assert client_frame(BINARY, bytes(8))[2:6] != client_frame(BINARY, bytes(8))[2:6]
    assert control_frame(PONG, b"x")[:2] == b"\x8a\x81"
