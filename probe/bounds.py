"""The bounds of the fields of a record and of the messages between probes and collectors.

Rule: every number, text and list has one, so that no decoded message is large, and no number is
beyond what arithmetic on it holds. They are wider than what a probe measures; what a server
exceeds, the probe clips (`probe/clip.py`), and a collector refuses the rest.
"""

from typing import Annotated, TypeAlias, TypeVar

from msgspec import Meta

from probe.words import EXPERIMENTS

T = TypeVar("T")

MONTH = 31 * 86_400.0
CENTURY = 100 * 366 * 86_400.0
STEPS = 2000
CERTIFICATES = 64
INPUT = 2048

# --- numbers ----------------------------------------------------------------------------------

# Seconds: relative to the start of a record, of a duration, between two records, between two
# clocks, since the epoch, since the boot, and before a heartbeat.
Moment: TypeAlias = Annotated[float, Meta(ge=-MONTH, le=MONTH)]
Duration: TypeAlias = Annotated[float, Meta(ge=0, le=MONTH)]
Age: TypeAlias = Annotated[float, Meta(ge=-13 * MONTH, le=13 * MONTH)]
ClockOffset: TypeAlias = Annotated[float, Meta(ge=-CENTURY, le=CENTURY)]
Epoch: TypeAlias = Annotated[float, Meta(ge=0, le=2 * CENTURY)]
EpochSecond: TypeAlias = Annotated[int, Meta(ge=0, le=2 * int(CENTURY))]
Before: TypeAlias = ClockOffset
Uptime: TypeAlias = Annotated[float, Meta(ge=0, le=CENTURY)]

Share: TypeAlias = Annotated[float, Meta(ge=0, le=1)]
Rate: TypeAlias = Annotated[float, Meta(ge=0, le=1e12)]
Count: TypeAlias = Annotated[int, Meta(ge=0, le=10**9)]
Size: TypeAlias = Annotated[int, Meta(ge=0, le=2**50)]
StepNumber: TypeAlias = Annotated[int, Meta(ge=0, le=10**6)]
HopNumber: TypeAlias = Annotated[int, Meta(ge=0, le=32)]
Tries: TypeAlias = Annotated[int, Meta(ge=0, le=1000)]
Port: TypeAlias = Annotated[int, Meta(ge=0, le=65_535)]
Octet: TypeAlias = Annotated[int, Meta(ge=0, le=255)]
Number16: TypeAlias = Annotated[int, Meta(ge=0, le=65_535)]
Number32: TypeAlias = Annotated[int, Meta(ge=0, le=2**32 - 1)]
Signed32: TypeAlias = Annotated[int, Meta(ge=-(2**32), le=2**32 - 1)]
VarInt: TypeAlias = Annotated[int, Meta(ge=0, le=2**62 - 1)]  # RFC 9000 section 16
Status: TypeAlias = Annotated[int, Meta(ge=0, le=9999)]
Seed: TypeAlias = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]

# --- texts ------------------------------------------------------------------------------------

# A pattern ends with `(?!\n)`, because Python's `$` also matches before a newline.
Word: TypeAlias = Annotated[str, Meta(max_length=64)]
Name: TypeAlias = Annotated[str, Meta(max_length=300)]
Address: TypeAlias = Annotated[str, Meta(max_length=64)]
Text: TypeAlias = Annotated[str, Meta(max_length=256)]
Sentence: TypeAlias = Annotated[str, Meta(max_length=1000)]
Url: TypeAlias = Annotated[str, Meta(max_length=8192)]
Input: TypeAlias = Annotated[str, Meta(max_length=INPUT)]
Hash: TypeAlias = Annotated[str, Meta(max_length=64)]
KeyName: TypeAlias = Annotated[str, Meta(max_length=128)]
Similarity: TypeAlias = Annotated[str, Meta(max_length=16, pattern=r"^[0-9a-f]{1,16}$(?!\n)")]
ServerHello: TypeAlias = Annotated[str, Meta(max_length=1024)]
Excerpt: TypeAlias = Annotated[str, Meta(max_length=5464)]  # base64 of 4 KiB
Certificate: TypeAlias = Annotated[str, Meta(max_length=128 * 1024)]
RecordId: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64)]
# RFC 3339, of a year in which there are probes.
Instant: TypeAlias = Annotated[
    str,
    Meta(
        max_length=35,
        pattern=r"^(?:19[7-9]|20[0-9])[0-9]-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}"
        r"(?:\.[0-9]{1,6})?(?:Z|[+-][0-9]{2}:[0-9]{2})$(?!\n)",
    ),
]
ExperimentName: TypeAlias = Annotated[
    str, Meta(max_length=32, pattern=rf"^(?:{'|'.join(EXPERIMENTS)})$(?!\n)")
]
Base64: TypeAlias = Annotated[str, Meta(max_length=256)]

# --- lists ------------------------------------------------------------------------------------

Few: TypeAlias = Annotated[tuple[T, ...], Meta(max_length=64)]
Many: TypeAlias = Annotated[tuple[T, ...], Meta(max_length=STEPS)]
Some: TypeAlias = Annotated[tuple[T, ...], Meta(max_length=256)]
Lots: TypeAlias = Annotated[tuple[T, ...], Meta(max_length=100_000)]

Headers: TypeAlias = Annotated[dict[Word, Text], Meta(max_length=32)]
Counts: TypeAlias = Annotated[dict[Sentence, Count], Meta(max_length=64)]
Cell: TypeAlias = Annotated[float, Meta(ge=-1e15, le=1e15)]
Columns: TypeAlias = Annotated[dict[Word, bool | Cell | Url | None], Meta(max_length=64)]
Certificates: TypeAlias = Annotated[dict[Hash, Certificate], Meta(max_length=CERTIFICATES)]
