"""Records as bytes: encoding, strict bounded decoding, batches, and the bytes that are signed.

Input is untrusted: the size of a batch is limited before and during decompression, the size of a
line before parsing, and an invalid line does not affect others.
"""

import hashlib
import zlib
from collections.abc import Iterable, Iterator

import msgspec

from probe.model import Record

BATCH_TYPE = "application/vnd.qazprobe.v1+gzip"
LINE_LIMIT = 512 * 1024
BATCH_LIMIT = 64 * 1024 * 1024
BATCH_RECORDS = 500
# Empty lines are passed over, but not millions of them: a loop over these takes half a minute.
LINES_LIMIT = 100 * BATCH_RECORDS

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Record)


class CodecError(ValueError):
    """Bytes that are not a valid record or batch; the message says what was expected."""


def encode(record: msgspec.Struct) -> bytes:
    """One line of JSON, without its newline."""
    return _encoder.encode(record)


def decode(line: bytes) -> Record:
    """Decode one record; raise `CodecError` with the invalid field."""
    if len(line) > LINE_LIMIT:
        raise CodecError(f"record of {len(line)} bytes; at most {LINE_LIMIT} are accepted")
    return check(line)


def check(line: bytes) -> Record:
    """Decode one record of any length; raise `CodecError` with the invalid field."""
    try:
        return _decoder.decode(line)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise CodecError(str(error) or type(error).__name__) from error


def pack(lines: Iterable[bytes]) -> bytes:
    """Gzip encoded records into one batch."""
    packer = zlib.compressobj(6, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    parts = [packer.compress(line + b"\n") for line in lines]
    return b"".join([*parts, packer.flush()])


def unpack(batch: bytes, *, limit: int = BATCH_LIMIT) -> Iterator[bytes]:
    """The lines of a batch; raise `CodecError` if it is invalid or inflates past `limit` bytes."""
    inflater = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        data = inflater.decompress(batch, limit + 1)
    except zlib.error as error:
        raise CodecError("batch is not gzip") from error
    if len(data) > limit or inflater.unconsumed_tail:
        raise CodecError(f"batch inflates to more than {limit} bytes")
    if not inflater.eof:
        raise CodecError("batch is cut short")
    if inflater.unused_data:
        raise CodecError("batch has data after its end")
    data = data.strip(b"\n")
    if data.count(b"\n") > LINES_LIMIT:
        raise CodecError(f"batch has more than {LINES_LIMIT} lines")
    return _lines(data)


def _lines(data: bytes) -> Iterator[bytes]:
    """The lines one by one, since a batch of newlines would make a list of millions."""
    start = 0
    while start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        if end > start:
            yield data[start:end]
        start = end + 1


def key_id(public_key: bytes) -> str:
    """The id of a public key: the first 16 bytes of its SHA-256, in hex."""
    return hashlib.sha256(public_key).hexdigest()[:32]


def signed_bytes(collector_id: str, method: str, path: str, created: str, body: bytes) -> bytes:
    """The bytes that an enrolled key signs for one request.

    `path` includes the query string. `created` is Unix time in seconds, as in `Qaz-Created`; its
    fraction is random, so that a request never has the bytes of another one, and a collector can
    refuse what it carried out before. The signature covers the body as sent, so it is verified
    before decompression and parsing.
    """
    digest = hashlib.sha512(body).hexdigest()
    fields = ("qazprobe-request-v1", collector_id, method, path, created, digest)
    return "\n".join(fields).encode()


def enrol_bytes(
    public_key: bytes, invite: str | None, role: str, created: str | None = None
) -> bytes:
    """The bytes that a new key signs to prove possession of the private key.

    `created` is as in `signed_bytes`; without it the proof can be used again while the key is
    enrolled.
    """
    version, when = ("v1", ()) if created is None else ("v2", (created,))
    return "\n".join(
        (f"qazprobe-enrol-{version}", public_key.hex(), invite or "", role, *when)
    ).encode()
