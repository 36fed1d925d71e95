"""The cells of the throttling campaign, and the file of its results: one JSON line per run.

Each line has its parameters (kind, line, tier, limit, seed), so an interrupted campaign can resume,
and the table can be made from the file alone.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

Kind = Literal["null", "slowed", "late", "freeze", "plateau", "fast"]
KBIT_131, KBIT_524, KBIT_1049 = 131_072.0, 524_288.0, 1_048_576.0
LINES = ("clean", "wifi", "congested", "slow plan")
# Kind, line, tier, limit: the parameters that repeated runs share.
Key: TypeAlias = tuple[Kind, str, str, float]


class Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One run, or one transfer, of the campaign.

    Attributes:
        tier: The size of the objects; of a late run, when the limit begins (`LATE_LIMITS`).
        limit: Bits per second; for a freeze, bytes. error: of a plateau, in percent.
        control: The control name's median rate, bits per second.
        cores: Processor time over time.
    """

    kind: Kind
    line: str
    tier: str = ""
    limit: float = 0.0
    seed: int
    state: str = ""
    transfers: int = 0
    size: int = 0
    ratio: float | None = None
    control: float | None = None
    mechanism: str = ""
    stalled_at: tuple[int, ...] = ()
    truth: int = 0
    error: float | None = None
    cores: float | None = None

    @property
    def key(self) -> Key:
        """The cell that this run belongs to."""
        return self.kind, self.line, self.tier, self.limit


@dataclass(frozen=True)
class Cell:
    """A number of runs with the same parameters; `alone`: not in parallel with others."""

    kind: Kind
    line: str
    tier: str
    limit: float
    runs: int
    alone: bool = False

    @property
    def key(self) -> Key:
        """The key of its rows."""
        return self.kind, self.line, self.tier, self.limit


def _plateaus(limiter: str, rates: Iterable[float], runs: int) -> Iterator[Cell]:
    for bits in rates:
        for congestion in ("cubic", "bbr"):
            for delay in (0.0, 0.04):
                line = f"{limiter}/{congestion}/{delay}"
                yield Cell("plateau", line, "", bits, runs, alone=bits > 2e6)


# When limits begin that the first bytes of a connection do not meet.
LATE_LIMITS = tuple(
    f"{limiter} {begins}"
    for begins in ("after 128 KiB at once", "after 300 KiB at once", "after 300 KB", "after 3 s")
    for limiter in ("police", "shape")
)


def _late(line: str, kbits: Iterable[int], runs: int) -> Iterator[Cell]:
    for kbit in kbits:
        for begins in LATE_LIMITS:
            yield Cell("late", line, begins, kbit * 1024.0, runs)


WHOLE: tuple[Cell, ...] = (
    *_late("clean", (64, 256), 2),
    *_late("clean", (128, 512, 1024), 3),
    *_late("congested", (128, 512), 3),
    *(Cell("late", line, "never", 0.0, 150) for line in LINES),
    *(Cell("slowed", line, "deep", KBIT_1049, 60) for line in ("clean", "congested")),
    *(Cell("slowed", line, "deep", KBIT_1049, 20) for line in ("wifi", "slow plan")),
    *(Cell("slowed", line, "normal", KBIT_524, 40) for line in LINES),
    *(Cell("slowed", line, "metered", KBIT_131, 50) for line in LINES),
    *(Cell("null", line, "metered", 0.0, 400) for line in LINES[1:]),
    *(Cell("null", line, "normal", 0.0, 150) for line in LINES[1:]),
    *(Cell("null", "clean", tier, 0.0, 75) for tier in ("metered", "normal")),
    *(Cell("freeze", line, "normal", 16_384.0, 15) for line in LINES),
    *_plateaus("tbf", (0.256e6, 1e6, 10e6, 100e6), 5),
    *_plateaus("police", (0.131e6, 0.256e6, 1e6, 10e6, 100e6), 5),
    Cell("fast", "tbf/cubic/0.0", "", 500e6, 10, alone=True),
)
QUICK: tuple[Cell, ...] = (
    Cell("late", "clean", "police after 3 s", KBIT_524, 1),
    Cell("slowed", "clean", "metered", KBIT_131, 1),
    Cell("slowed", "clean", "normal", KBIT_524, 1),
    Cell("null", "clean", "metered", 0.0, 4),
    Cell("freeze", "clean", "normal", 16_384.0, 1),
    Cell("plateau", "tbf/cubic/0.04", "", 1e6, 1),
    Cell("plateau", "police/cubic/0.04", "", 1e6, 1),
)


def read(path: Path) -> list[Row]:
    """All complete lines of a file; a truncated last line is left out."""
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    decoder = msgspec.json.Decoder(Row)
    return [decoder.decode(line) for line in lines if line.endswith(b"\n")]


def missing(cell: Cell, rows: Iterable[Row]) -> list[int]:
    """Seeds of a cell without a row."""
    done = {row.seed for row in rows if row.key == cell.key}
    return [seed for seed in range(cell.runs) if seed not in done]


def states(rows: Iterable[Row]) -> Counter[str]:
    """The number of rows by state."""
    return Counter(row.state for row in rows)
