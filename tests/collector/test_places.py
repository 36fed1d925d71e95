"""The network that something is counted for is the connection's; claims have no vote."""

import pytest

from collector.places import PLACES_LIMIT, KeyPlaces, NetworkKey, RequestOrigin

TELECOM, MOBILE, ABROAD = ("KZ", 9198), ("KZ", 29355), ("DE", 3320)
UNKNOWN = ("ZZ", 0)
AT_TELECOM = RequestOrigin("KZ", 9198, prefix="p")
ELSEWHERE = RequestOrigin("DE", 3320, prefix="q")
NOWHERE = RequestOrigin(prefix="r")


@pytest.mark.parametrize(
    ("claimed", "origin", "known", "counted", "votes"),
    [
        (TELECOM, AT_TELECOM, (), TELECOM, True),
        (("RU", 9198), AT_TELECOM, (), TELECOM, True),  # the table knows its country better
        (UNKNOWN, AT_TELECOM, (), TELECOM, True),
        (("KZ", 0), AT_TELECOM, (), TELECOM, True),
        (MOBILE, AT_TELECOM, (), TELECOM, False),
        (TELECOM, ELSEWHERE, (), ABROAD, False),
        # A spool that is sent through another network, by a key that was seen on the claimed one.
        (TELECOM, ELSEWHERE, (TELECOM,), TELECOM, True),
        (MOBILE, ELSEWHERE, (TELECOM,), ABROAD, False),
        # The table knows nothing of the address.
        (TELECOM, NOWHERE, (), UNKNOWN, True),
        (TELECOM, NOWHERE, (TELECOM,), TELECOM, True),
        # The collector's own machine, and a laboratory.
        (TELECOM, RequestOrigin(own=True), (), TELECOM, True),
        (TELECOM, RequestOrigin("KZ", 29355, own=True), (), MOBILE, False),
    ],
)
def test_a_claim_counts_only_where_connections_show_the_key(
    claimed: NetworkKey,
    origin: RequestOrigin,
    known: tuple[NetworkKey, ...],
    counted: NetworkKey,
    votes: bool,  # noqa: FBT001 - a parameter of a test
) -> None:
    found = KeyPlaces(known, origin).locate(claimed)
    assert (found[:2], found.votes) == (counted, votes)


def test_one_key_has_a_limited_number_of_networks() -> None:
    places = KeyPlaces((), RequestOrigin(own=True))
    found = [places.locate(("KZ", asn)) for asn in range(1, 60_000)]
    assert len({one[:2] for one in found}) == PLACES_LIMIT + 1
    assert len(places.fresh) == PLACES_LIMIT
    assert found[-1] == ("ZZ", 0, False)
    assert places.locate(("KZ", 1)) == ("KZ", 1, True)


def test_what_the_limit_refused_is_not_noted() -> None:
    known = [("KZ", asn) for asn in range(1, PLACES_LIMIT + 1)]
    places = KeyPlaces(known, ELSEWHERE)
    assert places.locate(ABROAD) == (*UNKNOWN, False)
    assert places.fresh == set()
