"""What is read of RIPE Atlas's results, within bounds.

The fields are those that https://atlas.ripe.net/docs/apis/measurement-result-format/ describes, of
all firmware versions. The parser of RIPE NCC, `ripe.atlas.sagan`, is under the GPL version 3, which
this project's licence does not allow to ship with it. The addresses of a probe (`from`, `src_addr`)
are not read.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

CERTIFICATES = 16
ANSWERS = 64

Address = Annotated[str, Meta(max_length=64)]
Name = Annotated[str, Meta(max_length=255)]
Short = Annotated[str, Meta(max_length=200)]
Number = Annotated[int, Meta(ge=0, lt=2**53)]
Milliseconds = Annotated[float, Meta(ge=0, le=3_600_000)]
Pem = Annotated[str, Meta(max_length=64 * 1024)]
# A DNS message in base64.
Message = Annotated[str, Meta(max_length=4 * 65_535 // 3 + 4)]


class AtlasAlert(msgspec.Struct, frozen=True, kw_only=True):
    """A TLS alert; some firmware writes `decription`."""

    description: Number | None = None
    decription: Number | None = None


class AtlasReply(msgspec.Struct, frozen=True, kw_only=True):
    """What one resolver replied."""

    abuf: Message | None = None
    rt: Milliseconds | None = None


class AtlasAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One query of a set: each resolver of the probe was asked.

    Attributes:
        qbuf: The query, where the measurement asked for it.
        error: What failed, such as `{"timeout": 5000}`.
    """

    dst_addr: Address | None = None
    dst_port: int | Short | None = None
    proto: Short | None = None
    qbuf: Message | None = None
    error: Any = None
    result: AtlasReply | None = None


class AtlasResult(AtlasAnswer, frozen=True, kw_only=True):
    """One result: of `sslcert`, or of `dns` with one resolver or a set of them.

    Attributes:
        fw: The firmware. ver: The TLS version. rt, ttc: Milliseconds to the end of the handshake
            and to the connection.
        lts: Seconds since the probe last heard a controller; negative where it does not know.
        err, dnserr: What failed; texts of the firmware.
        asn_v4, asn_v6, country_code: Of the probe, where a file has them beside the result.
    """

    type: Short
    msm_id: Number
    prb_id: Number
    timestamp: Annotated[int, Meta(ge=0, lt=4_102_444_800)]
    fw: Any = None
    af: Any = None
    lts: Any = None
    dst_name: Name | None = None
    ver: Short | None = None
    rt: Milliseconds | None = None
    ttc: Milliseconds | None = None
    server_cipher: Short | None = None
    cert: Annotated[Sequence[Pem], Meta(max_length=CERTIFICATES)] = ()
    alert: AtlasAlert | None = None
    err: Short | None = None
    dnserr: Short | None = None
    resultset: Annotated[Sequence[AtlasAnswer], Meta(max_length=ANSWERS)] | None = None
    asn_v4: Number | None = None
    asn_v6: Number | None = None
    country_code: Short | None = None


class AtlasProbe(msgspec.Struct, frozen=True, kw_only=True):
    """A probe, as the API and RIPE's archive of probes describe it."""

    id: Number
    asn_v4: Number | None = None
    asn_v6: Number | None = None
    country_code: Short | None = None
