"""The HTTP messages between probes and collectors, apart from the records.

Both sides decode with these types. Requests by an enrolled key carry `Qaz-Key`, `Qaz-Created` and
`Qaz-Signature` (see `codec.signed_bytes`).
"""

from typing import Literal

from probe.model import Control, Data


class EnrolRequest(Data, frozen=True, kw_only=True):
    """POST /v1/enroll: register a public key.

    Attributes:
        key: Base64 of the raw Ed25519 public key.
        proof: Base64 signature by that key over `codec.enrol_bytes(key, invite, role)`.
    """

    key: str
    proof: str
    invite: str | None = None
    role: Literal["probe", "control"] = "probe"


class EnrolReply(Data, frozen=True, kw_only=True):
    """The key's id, and the collector's id, which every signature includes."""

    key_id: str
    collector_id: str


class RecordReply(Data, frozen=True, kw_only=True):
    """The result for one record of a batch; `line` 0 is the first."""

    line: int
    status: Literal["stored", "duplicate", "rejected"]
    id: str | None = None
    reason: str | None = None


class BatchReply(Data, frozen=True, kw_only=True):
    """POST /v1/measurements: a result per record; everything `stored` is durable."""

    stored: int
    duplicates: int
    rejected: int
    records: tuple[RecordReply, ...] = ()


class TargetControls(Data, frozen=True, kw_only=True):
    """Recent control measurements of one target; `age` is relative to the request."""

    input: str
    observations: tuple[Control, ...] = ()


class ControlReply(Data, frozen=True, kw_only=True):
    """GET /v1/control?input=URL&input=URL… (no input: every target of the last 15 minutes)."""

    controls: tuple[TargetControls, ...] = ()


class RecheckTarget(Data, frozen=True, kw_only=True):
    """One listed target to measure again, and the public addresses that the probe got for it."""

    input: str
    addresses: tuple[str, ...] = ()


class RecheckRequest(Data, frozen=True, kw_only=True):
    """POST /v1/recheck (signed): request control measurements; the reply waits up to `wait` s."""

    asks: tuple[RecheckTarget, ...]
    wait: float = 8.0


class RecheckJob(Data, frozen=True, kw_only=True):
    """One recheck for a control to do."""

    id: str
    input: str
    addresses: tuple[str, ...] = ()


class RecheckJobs(Data, frozen=True, kw_only=True):
    """GET /v1/recheck?wait=S (signed by a control): pending rechecks; waits up to S seconds."""

    jobs: tuple[RecheckJob, ...] = ()


class VantageReply(Data, frozen=True, kw_only=True):
    """GET /v1/vantage: the client's country and network; its address is not stored."""

    country: str | None = None
    asn: int | None = None
    network: str | None = None
    time: str | None = None


class MissedInterval(Data, frozen=True, kw_only=True):
    """An interval in which the machine was awake and the collector received no heartbeat.

    Attributes:
        since, until: Seconds before this heartbeat, so independent of the clock.
        reach: What was reachable: something `abroad`, only something at `home`, or `nothing`.
        country, asn: Of the network at that time, if known.
    """

    since: float
    until: float
    reach: Literal["abroad", "home", "nothing"]
    country: str | None = None
    asn: int | None = None


class Heartbeat(Data, frozen=True, kw_only=True):
    """POST /v1/heartbeat (signed): the machine is up, with the intervals that were missed.

    Attributes:
        boot: An identifier of the boot. at: Unix time by the machine's clock.
        monotonic: Seconds awake since boot. slept: seconds asleep.
        country, asn, region: As in a record's vantage.
        unheard: Oldest first; between them the machine was off, asleep or the probe not running.
    """

    boot: str | None = None
    at: float | None = None
    monotonic: float | None = None
    slept: float | None = None
    country: str | None = None
    asn: int | None = None
    region: str | None = None
    unheard: tuple[MissedInterval, ...] = ()


class HeartbeatReply(Data, frozen=True, kw_only=True):
    """When the heartbeat was received, Unix time."""

    status: Literal["heard"] = "heard"
    time: int


class BulkReply(Data, frozen=True, kw_only=True):
    """One throughput server: its endpoint, and the key that it must prove."""

    address: str
    port: int
    spki_sha256: str


class ServiceReply(Data, frozen=True, kw_only=True):
    """GET /v1/service: what this collector offers."""

    collector_id: str
    lab: bool
    enrolment: Literal["open", "token", "closed"]
    bulk: tuple[BulkReply, ...] = ()


class Problem(Data, frozen=True, kw_only=True):
    """The body of every error response: one line that the user can act on."""

    error: str
