"""What may be told of who is heard now."""

from collector.detection.presence import networks_with_few, without_few
from collector.standing import EVERYBODY

DAY, HOUR = 86_400.0, 3600.0
NOW = 20_000 * DAY + 10 * HOUR + 1800
ALONE, MANY = ("KZ", 29355), ("KZ", 9198)
NETWORKS = {"lone": ALONE, "a": MANY, "b": MANY, "c": MANY}


def few(now: float, lone: list[float]) -> dict[tuple[str, int], int]:
    beats = {key: [NOW - 5 * HOUR] for key in "abc"} | {"lone": lone}
    return networks_with_few(NETWORKS, beats, EVERYBODY, now=now, least=3)


def test_that_the_only_probe_of_a_network_comes_or_goes_shows_by_whole_hours_and_days() -> None:
    came = NOW - 600  # within this hour
    assert few(NOW, [came]) == few(NOW, []) == {ALONE: 0}
    assert few(NOW + HOUR, [came]) == {ALONE: 1}
    # It is still told of the day when it was heard last, and of the next, at whatever minute.
    for hours in range(1, 38):
        assert few((NOW // DAY + 0) * DAY + 10 * HOUR + hours * HOUR, [came])[ALONE] == 1
    assert few((NOW // DAY + 2) * DAY, [came])[ALONE] == 0


def test_networks_with_few_are_one_for_each_country_or_nothing() -> None:
    hidden = {ALONE: 1, ("KZ", 21299): 2, ("DE", 3320): 1}
    heard = {MANY: 3, ALONE: 1, ("KZ", 21299): 0, ("DE", 3320): 1}
    assert without_few(heard, hidden, 3) == {MANY: 3, ("KZ", 0): 1}
    assert without_few(heard, {ALONE: 1}, 3) == {MANY: 3, ("KZ", 21299): 0, ("DE", 3320): 1}
