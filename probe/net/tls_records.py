"""How far a TLS record has arrived, by the lengths in front of records (RFC 8446 section 5.1).

A record can be read only when all of it is there, so a receive window must let in the rest of it.
"""

_HEAD = 5


class RecordProgress:
    """The record that is arriving.

    Attributes:
        begun: Bytes of it that have arrived. missing: those that have not, as far as is known.
    """

    __slots__ = ("_head", "begun", "missing")

    def __init__(self) -> None:
        self._head = b""
        self.begun = 0
        self.missing = 0

    def take(self, data: bytes) -> None:
        """Go on by bytes as they arrived."""
        at = 0
        while at < len(data):
            if not self.missing:
                head = data[at : at + _HEAD - len(self._head)]
                self._head += head
                at += len(head)
                self.begun = len(self._head)
                if self.begun == _HEAD:
                    self.missing = int.from_bytes(self._head[3:], "big")
                    self._head, self.begun = b"", _HEAD if self.missing else 0
                continue
            part = min(self.missing, len(data) - at)
            at += part
            self.missing -= part
            self.begun = self.begun + part if self.missing else 0
