"""Rewrite files of a lake: many small ones as one, without the records of keys that were erased.

Rule: new files are written beside the old ones, the manifest names them instead, and only then the
old ones are deleted. So a reader sees a file or its successor, and a writer that is killed leaves
files that are in no manifest.
"""

import secrets
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from collector.lake import manifest as manifests
from collector.lake.files import LakeFiles
from collector.lake.manifest import LakeOrigin, Manifest, Part
from collector.lake.parts import Partition, read_part, write_part

if TYPE_CHECKING:
    import pyarrow as pa

Edit = Callable[["pa.Table"], "pa.Table"]


class _SameKind(NamedTuple):
    """The files that may become one."""

    table: str
    origin: str
    where: Partition


class _Chain(msgspec.Struct):
    chain: tuple[str, ...] = ()


_chain = msgspec.json.Decoder(_Chain)


def compact(files: LakeFiles, *, told: Callable[[int], None] = lambda _: None) -> int:
    """Make one file of each place that has several; return how many files are gone."""
    known = manifests.read(files)
    manifests.sweep(files, known)
    gone = 0
    for place, parts in _by_place(known.parts).items():
        if len(parts) > 1:
            known = _replace(files, known, place, parts, lambda rows: rows)
            gone += len(parts) - 1
            told(gone)
    return gone


def prune(files: LakeFiles, *, before: str = "", evidence_before: str = "") -> int:
    """Drop days before one of them, or only their evidence; return the number of files.

    Args:
        before: A day, `YYYY-MM-DD`. Events stay: they are history and name no key.
        evidence_before: The same, for the tables `steps` and `certificates`.
    """
    known = manifests.read(files)
    old = [
        part
        for part in known.parts
        if (part.day < before and part.table != "events")
        or (part.day < evidence_before and part.table in {"steps", "certificates"})
    ]
    if old:
        manifests.write(files, known.changed(without=old))
    for part in old:
        files.delete(part.path)
    return len(old)


def erase_keys(files: LakeFiles, origin: str, erased: Mapping[str, str]) -> int:
    """Remove the records of erased keys; return how many there were.

    Args:
        erased: Their pseudonyms, each with a mark of its last erasure.
    """
    known = manifests.read(files)
    state = known.origins.get(origin, LakeOrigin())
    marks = {f"{key} {mark}": key for key, mark in erased.items()}
    pending = {key for mark, key in marks.items() if mark not in state.erased}
    if not pending:
        return 0
    gone = 0
    mine = [part for part in known.parts if part.origin == origin]
    places = _by_place(mine)
    for where in sorted({place.where for place in places}):
        ids = _ids_of(files, places.get(_SameKind("measurements", origin, where), ()), pending)
        if ids:
            known = _without(files, known, origin, where, ids)
            gone += len(ids)
    done = msgspec.structs.replace(state, erased=tuple(sorted(marks)))
    manifests.write(files, known.changed(origins={origin: done}))
    return gone


def _by_place(parts: Iterable[Part]) -> dict[_SameKind, list[Part]]:
    found: dict[_SameKind, list[Part]] = defaultdict(list)
    for part in parts:
        found[_SameKind(part.table, part.origin, Partition(part.day, part.country))].append(part)
    return found


def _ids_of(files: LakeFiles, parts: Iterable[Part], keys: Collection[str]) -> set[str]:
    """The records of some keys."""
    found: set[str] = set()
    for part in parts:
        rows = read_part(files, part).select(["id", "key"]).to_pydict()
        found |= {id_ for id_, key in zip(rows["id"], rows["key"], strict=True) if key in keys}
    return found


def _without(
    files: LakeFiles, known: Manifest, origin: str, where: Partition, ids: Collection[str]
) -> Manifest:
    """Remove these records, and the certificates that none of the others was served.

    What tells which records are those of a key goes last: who is killed before finds them again.
    """
    for table in ("votes", "verdicts", "steps"):
        known = _replace_if_any(files, known, _SameKind(table, origin, where), _drop(ids))
    steps = _by_place(known.parts).get(_SameKind("steps", origin, where), [])
    served = {one for part in steps for one in _served(read_part(files, part))}
    place = _SameKind("certificates", origin, where)
    known = _replace_if_any(files, known, place, _only_served(served))
    return _replace_if_any(files, known, _SameKind("measurements", origin, where), _drop(ids))


def _drop(ids: Collection[str]) -> Edit:
    def edit(rows: "pa.Table") -> "pa.Table":
        from pyarrow.compute import field

        return rows.filter(~field("id").isin(_texts(ids)))

    return edit


def _only_served(served: Collection[str]) -> Edit:
    def edit(rows: "pa.Table") -> "pa.Table":
        from pyarrow.compute import field

        return rows.filter(field("sha256").isin(_texts(served)))

    return edit


def _texts(words: Collection[str]) -> "pa.Array":
    """The same as an array of text also where there are none."""
    import pyarrow as pa

    return pa.array(sorted(words), pa.string())


def _served(steps: "pa.Table") -> set[str]:
    """The certificates that the steps name."""
    named = (text for text in steps.column("step").to_pylist() if '"chain":["' in text)
    return {one for text in named for one in _chain.decode(text).chain}


def _replace_if_any(files: LakeFiles, known: Manifest, place: _SameKind, edit: Edit) -> Manifest:
    parts = _by_place(known.parts).get(place, [])
    return _replace(files, known, place, parts, edit) if parts else known


def _replace(
    files: LakeFiles, known: Manifest, place: _SameKind, parts: Sequence[Part], edit: Edit
) -> Manifest:
    """One file with what `edit` leaves of these, or none when nothing is left."""
    import pyarrow as pa

    rows = edit(pa.concat_tables([read_part(files, part) for part in parts]))
    name = f"{place.origin[:8]}-{known.generation}-{secrets.token_hex(4)}"
    more = []
    if rows.num_rows:
        made = write_part(files, place.table, place.where, rows, origin=place.origin, name=name)
        more.append(made)
    changed = known.changed(without=parts, more=more)
    manifests.write(files, changed)
    for part in parts:
        files.delete(part.path)
    return changed
