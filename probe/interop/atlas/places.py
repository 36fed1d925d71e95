"""Where RIPE Atlas's probes are: results name a probe by its number alone."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from probe.interop.atlas.messages import AtlasProbe, AtlasResult

_COUNTRY = re.compile(r"[A-Z]{2}")
_UNKNOWN = "ZZ"
_V6 = 6


class AtlasPlace(NamedTuple):
    """The networks and the country of a probe."""

    asn_v4: int | None = None
    asn_v6: int | None = None
    country: str | None = None


class _Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A list of probes: `results` of the API, `objects` of the archive."""

    results: Sequence[AtlasProbe] = ()
    objects: Sequence[AtlasProbe] = ()


def read(data: bytes) -> dict[int, AtlasPlace]:
    """The places of the probes in a file.

    Raises:
        ValueError: It is no such list.
    """
    try:
        found = msgspec.json.decode(data, type=_Listed | list[AtlasProbe])
    except (RecursionError, UnicodeError) as error:
        raise ValueError(type(error).__name__) from error
    probes = found if isinstance(found, list) else (*found.results, *found.objects)
    return {one.id: _place(one) for one in probes}


def of(result: AtlasResult, known: Mapping[int, AtlasPlace]) -> tuple[str | None, int | None]:
    """Country and ASN of a result: what the file says beside it, else what the list does."""
    listed, beside = known.get(result.prb_id, AtlasPlace()), _place(result)
    six = result.af == _V6
    mine, other = (one.asn_v6 if six else one.asn_v4 for one in (beside, listed))
    return beside.country or listed.country, mine or other


def _place(one: AtlasProbe | AtlasResult) -> AtlasPlace:
    country = (one.country_code or "").upper()
    known = _COUNTRY.fullmatch(country) and country != _UNKNOWN
    return AtlasPlace(_asn(one.asn_v4), _asn(one.asn_v6), country if known else None)


def _asn(number: int | None) -> int | None:
    return number if number is not None and 0 < number < 2**32 else None
