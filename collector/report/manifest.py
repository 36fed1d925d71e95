"""What a report is made of, so that it can be cited and checked: manifest and citation file."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from collector.report.asked import ReportAsked, day_text
from probe import __version__
from probe.judge import RULESET

FORMAT = "qazprobe-report/1"


class FrozenData(NamedTuple):
    """The frozen data of a report.

    Attributes:
        writer: What wrote it: the bytes depend on its version.
    """

    sha256: str
    records: int
    previous_records: int
    rulesets: Sequence[str]
    writer: str


def manifest(folder: Path, asked: ReportAsked, data: FrozenData, citation: str) -> bytes:
    """The manifest: every file with its hash, and what the report was made of."""
    whole = {
        "format": FORMAT,
        "report": {
            "name": asked.name,
            "country": asked.country,
            "since": f"{day_text(asked.since)}T00:00:00Z",
            "until": f"{day_text(asked.until)}T00:00:00Z",
            "previous_since": f"{day_text(asked.previous)}T00:00:00Z",
            "categories": list(asked.categories),
            "language": asked.language,
            "public_min_probes": asked.least,
        },
        "made_by": {"program": "qazprobe", "version": __version__, "ruleset": RULESET},
        "data": data._asdict(),
        "citation": citation,
        "files": {
            path.relative_to(folder).as_posix(): {
                "bytes": path.stat().st_size,
                "sha256": sha256_of(path),
            }
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        },
    }
    return json.dumps(whole, ensure_ascii=False, indent=1).encode() + b"\n"


def citation_file(asked: ReportAsked, title: str, data: FrozenData) -> bytes:
    """The report in the Citation File Format; a JSON text is a YAML text."""
    last = day_text(asked.until - 1)
    lines = (
        "cff-version: 1.2.0",
        f"message: {json.dumps('Please cite the report by its data.')}",
        "type: dataset",
        f"title: {json.dumps(f'{title}, {day_text(asked.since)} to {last}', ensure_ascii=False)}",
        "authors:",
        f"  - name: {json.dumps('Volunteers of qazprobe')}",
        f"version: {json.dumps(f'qazprobe {__version__}, rule set ' + ', '.join(data.rulesets))}",
        f"date-released: {last}",
        "identifiers:",
        "  - type: other",
        f"    value: {json.dumps(f'sha256:{data.sha256}')}",
        f"    description: {json.dumps('SHA-256 of data.parquet')}",
    )
    return ("\n".join(lines) + "\n").encode()


def sha256_of(path: Path) -> str:
    """The hash of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
