"""What a worker tells the collector: lines of JSON on its standard output."""

import msgspec


class Report(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What happened since the report before; an empty one says that the worker is there.

    Attributes:
        judged: Records that were stored with a verdict.
        unjudged: Records that were stored without one, by reason.
        doubted: Records that have no vote, by the doubt about their evidence.
        series: Whether any of them is for detection over time.
    """

    judged: int = 0
    unjudged: dict[str, int] = {}
    doubted: dict[str, int] = {}
    series: bool = False


decode = msgspec.json.Decoder(Report).decode
encode = msgspec.json.Encoder().encode
