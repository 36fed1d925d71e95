"""Telegram: its data centres, in its own protocol, and its web app by TLS.

Each data centre is sent the first request of MTProto, which needs no key and no account; the answer
repeats our random number, so only a server of the protocol can give it. MTProto proxies and the
apps' obfuscated transports are not measured.

Source: the description of MTProto 2.0 (transports; creating an authorization key).
"""

import struct

from probe.experiments.operations import AppMessage
from probe.experiments.service import of_service

_INTERMEDIATE = b"\xee\xee\xee\xee"
_REQ_PQ_MULTI = 0xBE7E8EF1
_RES_PQ = 0x05162463
_NONCE = slice(-16, None)


def req_pq(fresh: bytes, now: float) -> bytes:
    """`req_pq_multi`, unencrypted, in the intermediate transport."""
    message_id = int(now * 2**32) & ~3
    body = struct.pack("<qqiI", 0, message_id, 20, _REQ_PQ_MULTI) + fresh[:16]
    return _INTERMEDIATE + struct.pack("<i", len(body)) + body


def is_answer(sent: bytes, received: bytes) -> bool:
    """`resPQ` with the same nonce."""
    if len(received) < 44 or received[4:12] != bytes(8):
        return False
    return received[24:28] == struct.pack("<I", _RES_PQ) and received[28:44] == sent[_NONCE]


MTPROTO = AppMessage("mtproto", req_pq, is_answer)
EXPERIMENT = of_service("telegram", {"mtproto": MTPROTO})
