"""Telegram: its data centres, in its own protocol, and its web app by TLS.

At each data centre the first question of MTProto is asked, which needs no key and no account; the
answer repeats our random number, so whoever gives it speaks the protocol. A look says nothing of
MTProto proxies or of the disguise that apps may put on.

Source: the description of MTProto 2.0 (transports; creating an authorization key).
"""

import struct

from probe.experiments.operations import AppMessage
from probe.experiments.service import of_service

_INTERMEDIATE = b"\xee\xee\xee\xee"
_REQ_PQ_MULTI = 0xBE7E8EF1
_RES_PQ = 0x05162463
_NONCE = slice(-16, None)


def question(fresh: bytes, now: float) -> bytes:
    """`req_pq_multi`, unencrypted, in the intermediate transport."""
    message_id = int(now * 2**32) & ~3
    body = struct.pack("<qqiI", 0, message_id, 20, _REQ_PQ_MULTI) + fresh[:16]
    return _INTERMEDIATE + struct.pack("<i", len(body)) + body


def answers(sent: bytes, heard: bytes) -> bool:
    """`resPQ` with the same nonce."""
    if len(heard) < 44 or heard[4:12] != bytes(8):
        return False
    return heard[24:28] == struct.pack("<I", _RES_PQ) and heard[28:44] == sent[_NONCE]


MTPROTO = AppMessage("mtproto", question, answers)
EXPERIMENT = of_service("telegram", {"mtproto": MTPROTO})
