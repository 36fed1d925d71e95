"""What probes and collectors say to each other over HTTP, apart from the records themselves.

Both ends decode with these types, so a field cannot mean two things. Requests by an enrolled key
carry `Qaz-Key`, `Qaz-Created` and `Qaz-Signature` (see `wire.signed_bytes`).
"""

from typing import Literal

from probe.model import Control, Data


class EnrolRequest(Data, frozen=True, kw_only=True):
    """POST /v1/enroll: make this public key known.

    Attributes:
        key: Base64 of the raw Ed25519 public key.
        proof: Base64 signature by that key over `wire.enrol_bytes(key, invite, role)`.
    """

    key: str
    proof: str
    invite: str | None = None
    role: Literal["probe", "control"] = "probe"


class EnrolReply(Data, frozen=True, kw_only=True):
    """The key's id here, and this collector's own id, which every signature names."""

    key_id: str
    collector_id: str


class RecordReply(Data, frozen=True, kw_only=True):
    """What became of one record of a batch, by its position in it (0 is the first line)."""

    line: int
    status: Literal["stored", "duplicate", "rejected"]
    id: str | None = None
    reason: str | None = None


class BatchReply(Data, frozen=True, kw_only=True):
    """POST /v1/measurements: an answer per record; everything `stored` is durable."""

    stored: int
    duplicates: int
    rejected: int
    records: tuple[RecordReply, ...] = ()


class ControlFound(Data, frozen=True, kw_only=True):
    """What controls saw of one target lately; `age` in each is relative to the time of asking."""

    input: str
    observations: tuple[Control, ...] = ()


class ControlReply(Data, frozen=True, kw_only=True):
    """GET /v1/control?input=URL&input=URL… (no input: every target seen in the last 15 minutes)."""

    controls: tuple[ControlFound, ...] = ()


class RecheckAsk(Data, frozen=True, kw_only=True):
    """One listed target to look at afresh, and public addresses we saw for it."""

    input: str
    addresses: tuple[str, ...] = ()


class RecheckRequest(Data, frozen=True, kw_only=True):
    """POST /v1/recheck (signed): look now. `wait`: how many seconds to hold the answer for it."""

    asks: tuple[RecheckAsk, ...]
    wait: float = 8.0


class RecheckJob(Data, frozen=True, kw_only=True):
    """One recheck that a control is asked to do."""

    id: str
    input: str
    addresses: tuple[str, ...] = ()


class RecheckJobs(Data, frozen=True, kw_only=True):
    """GET /v1/recheck?wait=S (signed by a control): what is asked for now, held up to S seconds."""

    jobs: tuple[RecheckJob, ...] = ()


class VantageReply(Data, frozen=True, kw_only=True):
    """GET /v1/vantage: the asker's country and network, looked up and forgotten."""

    country: str | None = None
    asn: int | None = None
    network: str | None = None
    time: str | None = None


class Unheard(Data, frozen=True, kw_only=True):
    """A time in which this machine was on and awake, and this collector did not hear it.

    Attributes:
        since, until: Seconds before this heartbeat, the older one first: no clock need be right.
        reach: What answered instead: something `abroad`, only something at `home`, or `nothing`.
        country, asn: Of the network it was on then, where that is known.
    """

    since: float
    until: float
    reach: Literal["abroad", "home", "nothing"]
    country: str | None = None
    asn: int | None = None


class Heartbeat(Data, frozen=True, kw_only=True):
    """POST /v1/heartbeat (signed): "I am here", and when I was and was not heard.

    Attributes:
        boot: A word that changes with each start of the machine. at: Unix time by its own clock.
        monotonic: Seconds it was awake since its start. slept: seconds of sleep among them.
        country, asn, region: As in a record's vantage.
        unheard: Oldest first; what lies between them it was off, asleep or not running.
    """

    boot: str | None = None
    at: float | None = None
    monotonic: float | None = None
    slept: float | None = None
    country: str | None = None
    asn: int | None = None
    region: str | None = None
    unheard: tuple[Unheard, ...] = ()


class HeartbeatReply(Data, frozen=True, kw_only=True):
    """When it was heard, Unix time."""

    status: Literal["heard"] = "heard"
    time: int


class BulkReply(Data, frozen=True, kw_only=True):
    """One bulk server for throughput experiments: where it is, and the key it must prove."""

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
    """The body of every error answer: one line a person can act on."""

    error: str
