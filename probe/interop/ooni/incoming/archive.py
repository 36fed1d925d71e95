"""Archives, one measurement after the other: read, mapped, and told what became of each."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from probe.certificates.roots import Roots
from probe.interop.ooni.incoming import files
from probe.interop.ooni.incoming.said import said
from probe.interop.ooni.incoming.to_record import (
    LeftOutError,
    OoniError,
    experiment_name,
    to_record,
)
from probe.interop.reading import Read


def records(paths: Iterable[Path], roots: Roots) -> Iterator[Read]:
    """Every measurement of these files; OSError where a file cannot be read."""
    for path in paths:
        for found in files.measurements(path):
            yield _refused(found) if found.refused else _mapped(found, roots)


def _refused(found: files.Found) -> Read:
    return Read(found.place, refused=found.refused)


def _mapped(found: files.Found, roots: Roots) -> Read:
    content: Any = found.content
    try:
        record = to_record(content, uid=found.uid, roots=roots)
    except LeftOutError:
        return Read(found.place, left_out=experiment_name(content))
    except OoniError as error:
        return Read(found.place, refused=str(error))
    return Read(found.place, record=record, said=said(content))
