"""Keys of small order are refused: with them anybody could sign anything."""

import asyncio
import base64
import hashlib
from functools import cache
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from collector.api.auth import is_signed
from collector.api.ed25519_keys import is_weak
from probe import codec
from probe.api_types import EnrolRequest
from tests.collector.harness import JSON, collector

P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P
ORDER = 2**252 + 27742317777372353535851937790883648493
Point = tuple[int, int]
NEUTRAL: Point = (0, 1)


def add(a: Point, b: Point) -> Point:
    shared = D * a[0] * b[0] * a[1] * b[1]
    x = (a[0] * b[1] + b[0] * a[1]) * pow(1 + shared, -1, P)
    y = (a[1] * b[1] + a[0] * b[0]) * pow(1 - shared, -1, P)
    return x % P, y % P


def multiply(point: Point, times: int) -> Point:
    found = NEUTRAL
    for bit in f"{times:b}":
        found = add(found, found)
        found = add(found, point) if bit == "1" else found
    return found


def points_with(y: int) -> list[Point]:
    """The points of the curve with this y."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    return [(x, y), (-x % P, y)] if x * x % P == square else []


@cache
def small_points() -> frozenset[Point]:
    """The eight points of small order, found as what the main order leaves of others."""
    every = (point for y in range(2, 60) for point in points_with(y))
    return frozenset(multiply(point, ORDER) for point in every)


def encode(point: Point) -> bytes:
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


WEAK = sorted(encode(point) for point in small_points())


def test_every_key_of_small_order_is_weak_and_no_usual_one_is() -> None:
    assert len(WEAK) == 8
    assert all(map(is_weak, WEAK))
    assert not any(
        is_weak(Ed25519PrivateKey.generate().public_key().public_bytes_raw()) for _ in range(50)
    )


@pytest.mark.parametrize("y", [P, P + 1, 2**255 - 1])
def test_a_key_that_is_not_reduced_is_weak(y: int) -> None:
    assert is_weak(y.to_bytes(32, "little"))
    assert is_weak((y | 1 << 255).to_bytes(32, "little"))


def forged(public: bytes, message: bytes) -> bytes | None:
    """A signature of a message that nobody signed: S = 0, and one of eight values of R."""
    for r in WEAK:
        digest = hashlib.sha512(r + public + message).digest()
        times = int.from_bytes(digest, "little") % ORDER
        for point in small_points():
            if encode(point) == public:
                x, y = multiply(point, times)
                if encode((-x % P, y)) == r:
                    return r + bytes(32)
    return None


def test_a_forged_signature_of_such_a_key_is_no_signature(tmp_path: Path) -> None:
    key, proof = next(
        (public, found) for public in WEAK if (found := forged(public, _enrol(public)))
    )
    request = EnrolRequest(key=_text(key), proof=_text(proof), role="probe")
    # What the verifier itself says of it, so that this is no test of a wrong forgery.
    Ed25519PublicKey.from_public_bytes(key).verify(proof, _enrol(key))
    assert not is_signed(key, proof, _enrol(key))

    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            reply = await harness.ask("POST", "/v1/enroll", codec.encode(request), JSON)
            assert (reply.status, "small order" in reply.data["error"]) == (400, True)

    asyncio.run(scenario())


def _enrol(public: bytes) -> bytes:
    return codec.enrol_bytes(public, None, "probe")


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
