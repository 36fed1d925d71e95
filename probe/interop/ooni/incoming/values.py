"""Look into untrusted JSON: every function gives the wanted type or nothing, and none raises.

Measurements of ten years differ in what they leave out, and OONI takes uploads from every client.
So a member that is missing, has another type or is beyond its bound is treated as missing.
"""

import base64
import binascii
import math
import re
from collections.abc import Iterator
from typing import Any, TypeAlias

from probe.compare import is_address

Json: TypeAlias = Any
# Entries of one list that are read: more steps than a record may have are of no use.
ENTRIES = 1000
# Texts other than bodies and certificates.
TEXT = 8192
_MOST = 2**53
_ASN = re.compile(r"(?:AS)?([0-9]{1,10})")
_LARGEST_ASN = 2**32 - 1
_PORTS = 65_535


def member(data: Json, *names: str) -> Json:
    """What is under these names, one below the other; None where one is missing."""
    for name in names:
        if not isinstance(data, dict):
            return None
        data = data.get(name)
    return data


def text(data: Json, *names: str) -> str:
    """A text, cut; empty where there is none."""
    found = member(data, *names)
    return found[:TEXT] if isinstance(found, str) else ""


def failure(data: Json, name: str = "failure") -> str | bool | None:
    """A failure: a word, or what old probes wrote instead of one."""
    found = member(data, name)
    return found[:TEXT] if isinstance(found, str) else found is True or None


def number(data: Json, *names: str) -> float | None:
    """A finite number."""
    found = member(data, *names)
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    # Of an integer with thousands of digits no float can be made.
    known = abs(found) <= _MOST and math.isfinite(found)
    return float(found) if known else None


def whole(data: Json, *names: str) -> int | None:
    """A whole number that is not negative."""
    found = number(data, *names)
    return int(found) if found is not None and found >= 0 else None


def entries(data: Json, *names: str) -> Iterator[dict[str, Json]]:
    """The objects of a list, as many as are read."""
    found = member(data, *names)
    if isinstance(found, list):
        yield from (one for one in found[:ENTRIES] if isinstance(one, dict))


def pairs(data: Json, *names: str) -> Iterator[tuple[str, dict[str, Json]]]:
    """The objects of an object, with their names."""
    found = member(data, *names)
    if isinstance(found, dict):
        every = list(found.items())[:ENTRIES]
        yield from ((name, one) for name, one in every if isinstance(one, dict))


def octets(data: Json, most: int) -> bytes | None:
    """A text or base64, as bytes; None where it is neither or has more bytes than this."""
    if isinstance(data, str):
        found = data.encode("utf-8", "replace")
        return found if len(found) <= most else None
    coded = text_of_any_length(data, "data")
    if coded is None or len(coded) > most * 4 // 3 + 4:
        return None
    try:
        return base64.b64decode(coded, validate=True)
    except (binascii.Error, ValueError):
        return None


def text_of_any_length(data: Json, name: str) -> str | None:
    """A text that is not cut, such as base64."""
    found = member(data, name)
    return found if isinstance(found, str) else None


def system(data: Json, name: str) -> int | None:
    """The number of an autonomous system, from `AS9198` or 9198; None for AS0."""
    found = member(data, name)
    read = _ASN.fullmatch(str(found)[:16]) if isinstance(found, str | int) else None
    asn = int(read[1]) if read is not None else 0
    return asn if 0 < asn <= _LARGEST_ASN else None


def endpoint(written: str) -> tuple[str, int] | None:
    """Address and port of `192.0.2.1:443` or `[2001:db8::1]:443`."""
    host, _, port = written.rpartition(":")
    address = host.removeprefix("[").removesuffix("]")
    if not is_address(address) or not port.isascii() or not port.isdigit() or len(port) > 5:
        return None
    return (address, int(port)) if int(port) <= _PORTS else None
