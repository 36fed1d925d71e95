"""The HTTP messages between probes and collectors, apart from the records.

Both sides decode with these types. Requests by an enrolled key carry `Qaz-Key`, `Qaz-Created` and
`Qaz-Signature` (see `codec.signed_bytes`).
"""

from typing import Literal

from probe import bounds
from probe.model import Control, Data


class EnrolRequest(Data, frozen=True, kw_only=True):
    """POST /v1/enroll: register a public key.

    Attributes:
        key: Base64 of the raw Ed25519 public key.
        proof: Base64 signature by that key over `codec.enrol_bytes(key, invite, role, created)`.
        created: When it was signed, as in `Qaz-Created`. Without it a proof fits until the key is
            erased.
    """

    key: bounds.Base64
    proof: bounds.Base64
    invite: bounds.Text | None = None
    role: Literal["probe", "control"] = "probe"
    created: bounds.Word | None = None


class EnrolReply(Data, frozen=True, kw_only=True):
    """The key's id, and the collector's id, which every signature includes."""

    key_id: bounds.Word
    collector_id: bounds.Text


class RecordReply(Data, frozen=True, kw_only=True):
    """The result for one record of a batch; `line` 0 is the first."""

    line: bounds.Count
    status: Literal["stored", "duplicate", "rejected"]
    id: bounds.RecordId | None = None
    reason: bounds.Sentence | None = None


class BatchReply(Data, frozen=True, kw_only=True):
    """POST /v1/measurements: a result per record; everything `stored` is durable."""

    stored: bounds.Count
    duplicates: bounds.Count
    rejected: bounds.Count
    records: bounds.Many[RecordReply] = ()


class TargetControls(Data, frozen=True, kw_only=True):
    """Recent control measurements of one target; `age` is relative to the request."""

    input: bounds.Input
    observations: bounds.Some[Control] = ()


class ControlReply(Data, frozen=True, kw_only=True):
    """GET /v1/control?input=URL&input=URL… (no input: every target of the last 15 minutes)."""

    controls: bounds.Lots[TargetControls] = ()


class RecheckTarget(Data, frozen=True, kw_only=True):
    """One listed target to measure again, and the public addresses that the probe got for it."""

    input: bounds.Input
    addresses: bounds.Some[bounds.Address] = ()


class RecheckRequest(Data, frozen=True, kw_only=True):
    """POST /v1/recheck (signed): request control measurements; the reply waits up to `wait` s."""

    asks: bounds.Some[RecheckTarget]
    wait: bounds.Duration = 8.0


class RecheckJob(Data, frozen=True, kw_only=True):
    """One recheck for a control to do."""

    id: bounds.RecordId
    input: bounds.Input
    addresses: bounds.Some[bounds.Address] = ()


class RecheckJobs(Data, frozen=True, kw_only=True):
    """GET /v1/recheck?wait=S (signed by a control): pending rechecks; waits up to S seconds."""

    jobs: bounds.Few[RecheckJob] = ()


class VantageReply(Data, frozen=True, kw_only=True):
    """GET /v1/vantage: the client's country and network; its address is not stored."""

    country: bounds.Word | None = None
    asn: bounds.Number32 | None = None
    network: bounds.Text | None = None
    time: bounds.Word | None = None


class MissedInterval(Data, frozen=True, kw_only=True):
    """An interval in which the machine was awake and the collector received no heartbeat.

    Attributes:
        since, until: Seconds before this heartbeat, so independent of the clock.
        reach: What was reachable: something `abroad`, only something at `home`, or `nothing`.
        country, asn: Of the network at that time, if known.
    """

    since: bounds.Before
    until: bounds.Before
    reach: Literal["abroad", "home", "nothing"]
    country: bounds.Word | None = None
    asn: bounds.Number32 | None = None


class Heartbeat(Data, frozen=True, kw_only=True):
    """POST /v1/heartbeat (signed): the machine is up, with the intervals that were missed.

    Attributes:
        boot: An identifier of the boot. at: Unix time by the machine's clock.
        monotonic: Seconds awake since boot. slept: seconds asleep.
        country, asn, region: As in a record's vantage.
        unheard: Oldest first; between them the machine was off, asleep or the probe not running.
    """

    boot: bounds.Word | None = None
    at: bounds.Epoch | None = None
    monotonic: bounds.Uptime | None = None
    slept: bounds.Uptime | None = None
    country: bounds.Word | None = None
    asn: bounds.Number32 | None = None
    region: bounds.Word | None = None
    unheard: bounds.Some[MissedInterval] = ()


class HeartbeatReply(Data, frozen=True, kw_only=True):
    """When the heartbeat was received, Unix time."""

    status: Literal["heard"] = "heard"
    time: bounds.EpochSecond


class BulkReply(Data, frozen=True, kw_only=True):
    """One throughput server: its endpoint, and the key that it must prove."""

    address: bounds.Name
    port: bounds.Port
    spki_sha256: bounds.KeyName


class ServiceReply(Data, frozen=True, kw_only=True):
    """GET /v1/service: what this collector offers."""

    collector_id: bounds.Text
    lab: bool
    enrolment: Literal["open", "token", "closed"]
    bulk: bounds.Few[BulkReply] = ()


class Problem(Data, frozen=True, kw_only=True):
    """The body of every error response: one line that the user can act on."""

    error: bounds.Sentence
