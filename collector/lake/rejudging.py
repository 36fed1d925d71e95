"""Judge the records of a lake again: partition by partition, by as many workers as there are.

Rules: `judge` is the function that the probe runs, and the evidence is checked as when it arrived.
A partition is a day, a country and an origin, so that no worker needs another's results; what
controls saw on the same day is beside it. The verdicts of one set of rules replace earlier ones of
the same set; what was said at the time stays in `measurements`.
"""

import secrets
from base64 import b64encode
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from collector import controls, evidence_check
from collector.admin.export_columns import deciding_rule
from collector.controls import Observation
from collector.lake import flatten, manifest as manifests
from collector.lake.files import LakeFiles
from collector.lake.manifest import Manifest, Part
from collector.lake.parts import Partition, read_part, table_of, write_part
from collector.record_row import Judge, judge_again
from collector.store.measurements import Judged
from probe.certificates.roots import Roots
from probe.escape import plain
from probe.model import Record

if TYPE_CHECKING:
    import pyarrow as pa


class LakeUnit(msgspec.Struct, frozen=True):
    """What one worker judges: the files of a day, a country and an origin."""

    root: str
    day: str
    country: str
    origin: str
    parts: tuple[Part, ...]


class RejudgedUnit(msgspec.Struct, frozen=True):
    """What came of one: its file, how many records were judged, changed, and not judged, and why.

    `first_failure` is the id of the first record that was not judged, and the error.
    """

    part: Part | None
    judged: int = 0
    changed: int = 0
    failed: int = 0
    first_failure: str = ""


class _Measured(NamedTuple):
    """A row of `measurements`, as far as it is needed."""

    id: str
    role: str
    lab: bool
    experiment: str
    input: str
    target: str
    measured_at: float
    outcome: str
    ruleset: str
    imported: bool | None


def units(root: str, known: Manifest) -> list[LakeUnit]:
    """The units of a lake, the largest first, so that no worker is left with one at the end."""
    found: dict[tuple[str, str, str], list[Part]] = defaultdict(list)
    for part in known.parts:
        if part.table in {"measurements", "steps", "certificates"}:
            found[part.day, part.country, part.origin].append(part)
    made = [LakeUnit(root, *where, tuple(parts)) for where, parts in sorted(found.items())]
    return sorted(made, key=lambda one: -sum(part.size for part in one.parts))


def judge_unit(unit: LakeUnit, judge: Judge, roots: Roots | None) -> RejudgedUnit:
    """Judge the records of a unit and write their verdicts; the manifest is the caller's."""
    files = LakeFiles(unit.root)
    measured = list(_measured(_table(files, unit, "measurements")))
    records = dict(_records(_table(files, unit, "steps")))
    certs = _certificates(_table(files, unit, "certificates"))
    seen = _SeenByControls(measured, records)
    rows, failures = [], list[str]()
    for one in measured:
        record = records.get(one.id)
        if record is None:
            continue
        try:
            judged = _judged(one, _with_certificates(record, certs), seen, judge, roots)
        except Exception as error:  # noqa: BLE001 - a bug of a rule costs its record, not the unit
            failures.append(plain(f"{one.id}: {type(error).__name__}: {error}"))
        else:
            rows.append(_row(one, judged))
    part = _write(files, unit, rows) if rows else None
    changed = sum(row["outcome"] != row["was"] for row in rows)
    return RejudgedUnit(part, len(rows), changed, len(failures), "".join(failures[:1]))


def keep(files: LakeFiles, done: Iterable[RejudgedUnit]) -> None:
    """Name the new verdicts in the manifest, instead of earlier ones at the same places."""
    known = manifests.read(files)
    more = [one.part for one in done if one.part is not None]
    places = {(part.day, part.country, part.origin) for part in more}
    old = [part for part in known.of("verdicts") if (part.day, part.country, part.origin) in places]
    manifests.write(files, known.changed(without=old, more=more))
    for part in old:
        files.delete(part.path)


def _table(files: LakeFiles, unit: LakeUnit, table: str) -> list["pa.Table"]:
    return [read_part(files, part) for part in unit.parts if part.table == table]


def _rows(tables: Iterable["pa.Table"], names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    for table in tables:
        yield from zip(*(table.column(name).to_pylist() for name in names), strict=True)


def _measured(tables: Iterable["pa.Table"]) -> Iterator[_Measured]:
    for row in _rows(tables, _Measured._fields):
        one = _Measured(*row)
        yield one._replace(measured_at=row[6].timestamp())


def _records(tables: Iterable["pa.Table"]) -> Iterator[tuple[str, Record]]:
    """The records of rows of steps, by id, but those of another version of the program."""
    found: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for id_, number, step in _rows(tables, ("id", "number", "step")):
        found[id_].append((number, step))
    for id_, parts in found.items():
        try:
            yield id_, msgspec.json.decode(flatten.record(parts), type=Record)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            continue


def _certificates(tables: Iterable["pa.Table"]) -> Mapping[str, str]:
    """Base64 of the DER of each certificate by its SHA-256."""
    return {sha256: b64encode(der).decode() for sha256, der in _rows(tables, ("sha256", "der"))}


def _with_certificates(record: Record, certs: Mapping[str, str]) -> Record:
    chains = (getattr(step, "chain", ()) for step in record.steps)
    served = {one: certs[one] for chain in chains for one in chain if one in certs}
    return msgspec.structs.replace(record, certs=served)


class _SeenByControls:
    """What controls saw on the day: by input, and by the id of their record."""

    def __init__(self, measured: Iterable[_Measured], records: Mapping[str, Record]) -> None:
        self.by_id: dict[str, Observation] = {}
        self._by_input: dict[str, list[Observation]] = defaultdict(list)
        for one in measured:
            if one.role == "control" and one.id in records:
                steps = controls.trim(records[one.id])
                if steps:
                    self.by_id[one.id] = Observation(one.id, one.measured_at, steps)
                    self._by_input[one.input].append(self.by_id[one.id])
        for each in self._by_input.values():
            each.sort(key=attrgetter("at"))

    def near(self, input_: str, at: float) -> tuple[Observation, ...]:
        """The nearest one before and the nearest after, within a quarter of an hour."""
        known = self._by_input.get(input_, [])
        place = bisect_left(known, at, key=attrgetter("at"))
        around = known[max(0, place - 1) : place + 1]
        return tuple(one for one in around if abs(one.at - at) <= controls.NEAR_SECONDS)


def _judged(
    one: _Measured, record: Record, seen: _SeenByControls, judge: Judge, roots: Roots | None
) -> Judged:
    near: tuple[Observation, ...] = ()
    if one.role == "probe" and not one.imported:
        chains = None if record.lab else roots
        checked = evidence_check.check(record, seen.by_id, roots=chains, at=one.measured_at)
        record = checked.record
    if one.role == "probe":
        near = seen.near(one.input, one.measured_at)
    return judge_again(record, judge, near, now=one.measured_at)


def _row(one: _Measured, judged: Judged) -> dict[str, Any]:
    return {
        "id": one.id,
        "target": one.target,
        "measured_at": one.measured_at,
        "experiment": one.experiment,
        "ruleset": judged.ruleset,
        "outcome": str(judged.outcome),
        "mechanisms": judged.mechanisms,
        "confidence": judged.confidence,
        "rule": deciding_rule(judged.verdict),
        "authority": judged.authority,
        "was": one.outcome,
        "was_ruleset": one.ruleset,
    }


def _write(files: LakeFiles, unit: LakeUnit, rows: list[dict[str, Any]]) -> Part:
    where = Partition(unit.day, unit.country)
    name = f"{unit.origin[:8]}-rejudged-{secrets.token_hex(4)}"
    return write_part(
        files, "verdicts", where, table_of("verdicts", rows), origin=unit.origin, name=name
    )


def run_local(
    found: Sequence[LakeUnit], processes: int, told: Callable[[RejudgedUnit], None]
) -> list[RejudgedUnit]:
    """Judge units in processes of this machine."""
    from concurrent.futures import ProcessPoolExecutor

    if processes == 1:
        done = []
        for unit in found:
            done.append(rejudged_unit(unit))
            told(done[-1])
        return done
    with ProcessPoolExecutor(processes) as pool:
        done = []
        for one in pool.map(rejudged_unit, found):
            done.append(one)
            told(one)
        return done


def run_spark(found: Sequence[LakeUnit], master: str) -> list[RejudgedUnit]:
    """Judge units by the workers of a Spark cluster, which need this program installed."""
    from collector.lake.spark import spark_session

    packed = [msgspec.json.encode(unit) for unit in found]
    with spark_session(master) as session:
        spread = session.sparkContext.parallelize(packed, max(1, len(packed)))
        return [
            msgspec.json.decode(one, type=RejudgedUnit) for one in spread.map(_packed).collect()
        ]


def _packed(unit: bytes) -> bytes:
    return msgspec.json.encode(rejudged_unit(msgspec.json.decode(unit, type=LakeUnit)))


def rejudged_unit(unit: LakeUnit) -> RejudgedUnit:
    """Judge a unit by the installed rules, in this process."""
    from probe.judge import judge

    return judge_unit(unit, judge, Roots.mozilla())
