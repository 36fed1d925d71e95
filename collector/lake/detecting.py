"""Events out of the looks of a lake, a country at a time.

Rule: detection is the function of a serving collector, by `collector.admin.replay`. A country is a
unit, because waves and shutdowns concern all networks of one.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from collector.admin import replay as replaying, replay_looks
from collector.admin.replay_looks import ExportedColumns, SortedLooks
from collector.events.timeline import Rules
from collector.lake.files import LakeFiles
from collector.lake.manifest import Manifest, Part
from collector.lake.parts import read_part

_NAMES = tuple(name for name in ExportedColumns.__struct_fields__ if name != "country")


class LakeCountry(msgspec.Struct, frozen=True):
    """What one worker looks at: the measurements of a country."""

    root: str
    country: str
    quorum: int
    parts: tuple[Part, ...]


def countries(root: str, known: Manifest, quorum: int) -> list[LakeCountry]:
    """The countries of a lake, the largest first."""
    found: dict[str, list[Part]] = defaultdict(list)
    for part in known.of("measurements"):
        found[part.country].append(part)
    made = [LakeCountry(root, name, quorum, tuple(parts)) for name, parts in found.items()]
    return sorted(made, key=lambda one: -sum(part.rows for part in one.parts))


def events_of(unit: LakeCountry) -> list[dict[str, object]]:
    """The events of a country, as `qazcollector events replay --format json` tells them."""
    files, looks = LakeFiles(unit.root), SortedLooks()
    try:
        for part in sorted(unit.parts, key=lambda one: one.path):
            rows = _rows(files, part)
            looks.add(one for row in rows if (one := replay_looks.of_columns(row)) is not None)
        rules = Rules(unit.quorum, looks.standings())
        found = replaying.replayed(looks, rules, since=looks.oldest, progress=lambda _: None)
        told = [replaying.Told(one) for one in found]
    finally:
        looks.close()
    return [replaying.as_json(one) for one in told]


def _rows(files: LakeFiles, part: Part) -> Iterable[ExportedColumns]:
    table = read_part(files, part)
    columns = {name: table.column(name).to_pylist() for name in _NAMES}
    for values in zip(*columns.values(), strict=True):
        row = dict(zip(columns, values, strict=True))
        row["measured_at"] = row["measured_at"].timestamp()
        yield ExportedColumns(**row, country=part.country)


def run_local(found: Sequence[LakeCountry], processes: int) -> list[list[dict[str, object]]]:
    """Find the events of countries in processes of this machine."""
    from concurrent.futures import ProcessPoolExecutor

    if processes == 1 or len(found) < 2:
        return [events_of(one) for one in found]
    with ProcessPoolExecutor(processes) as pool:
        return list(pool.map(events_of, found))


def run_spark(found: Sequence[LakeCountry], master: str) -> list[list[dict[str, object]]]:
    """Find the events of countries by the workers of a Spark cluster."""
    from collector.lake.spark import spark_session

    packed = [msgspec.json.encode(one) for one in found]
    with spark_session(master) as session:
        spread = session.sparkContext.parallelize(packed, max(1, len(packed)))
        return [msgspec.json.decode(one) for one in spread.map(_packed).collect()]


def _packed(unit: bytes) -> bytes:
    return msgspec.json.encode(events_of(msgspec.json.decode(unit, type=LakeCountry)))
