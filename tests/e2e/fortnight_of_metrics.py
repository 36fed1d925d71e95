"""A fortnight of metrics as a collector would have served them, for Prometheus' blocks.

It has what a collector in use has seen: sites that are blocked, intercepted and throttled from some
day on, cuts and white lists, a network that is silent, keys that are not trusted, and refusals.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product

DAY, HOUR = 86_400, 3600
COUNTRY, ASNS = "KZ", ("9198", "206026", "29355", "48503", "39824", "41798", "200590")
COUNTERS = ("_total", "_bucket", "_sum", "_count")
EXTRA = {"job": "qazcollector", "instance": "127.0.0.1:9101"}
# Days from the beginning.
Value = Callable[[float], float | None]


@dataclass(frozen=True)
class Fortnight:
    """How much of it there is: sites on each network, and seconds between two scrapes."""

    until: int
    sites: int = 4
    networks: int = 3
    every: int = 300
    days: int = 14
    _draw: random.Random = field(default_factory=lambda: random.Random(1))

    @property
    def names(self) -> list[str]:
        """The sites; the first ones are those of the other tests."""
        return ["meduza.io", "mail.ru", *(f"site{n}.example" for n in range(self.sites - 2))]

    def lines(self) -> Iterator[str]:
        """The text in OpenMetrics' format."""
        times = range(self.until - self.days * DAY, self.until, self.every)
        for name, labels, value in sorted(self._series(), key=lambda one: one[0]):
            text = ",".join(f'{label}="{one}"' for label, one in {**labels, **EXTRA}.items())
            for at in times:
                found = value((at - times[0]) / DAY)
                if found is not None:
                    yield f"{name}{{{text}}} {found:g} {at}\n"
        yield "# EOF\n"

    def _series(self) -> Iterator[tuple[str, dict[str, str], Value]]:
        yield from self._of_sites()
        yield from self._of_networks()
        yield from self._of_events()
        yield from _of_a_collector()

    def _of_sites(self) -> Iterator[tuple[str, dict[str, str], Value]]:
        for (number, target), asn in product(enumerate(self.names), ASNS[: self.networks]):
            at = {"target": target, "country": COUNTRY, "asn": asn}
            listed = {**at, "category": "NEWS"}
            bad, mechanism = _FATES[number % len(_FATES)]
            began = self._draw.uniform(1, 13.5)
            good, found = _before(began, 4), _since(began, 4)
            yield "qazprobe_target_outcome", {**listed, "outcome": "ok"}, good
            yield "qazprobe_target_outcome", {**listed, "outcome": bad}, found
            yield "qazprobe_target_interference_ratio", listed, _step(began)
            yield "qazprobe_target_mechanism", {**at, "mechanism": mechanism}, found
            yield "qazprobe_stranger_outcome", {**listed, "outcome": bad}, found
            kind = {"intercepted": "interception", "throttled": "throttling"}.get(bad, "blocking")
            yield "qazprobe_target_quorum", {**listed, "kind": kind}, _since(began, 1)
            if bad == "intercepted":
                yield "qazprobe_tls_interception", {**at, "authority": "kz.isca"}, found
            if bad == "throttled" or number == 0:
                yield "qazprobe_throttle_ratio", at, _always(0.1 * (number + 1) % 1)
                for arm, rate in (("target", 2e5), ("reference", 2e6)):
                    name = "qazprobe_throughput_bytes_per_second"
                    yield name, {**at, "arm": arm}, _always(rate)

    def _of_networks(self) -> Iterator[tuple[str, dict[str, str], Value]]:
        for number, asn in enumerate(ASNS[: self.networks]):
            at = {"country": COUNTRY, "asn": asn}
            heard = _before(13.9, 3) if number else _always(2)
            yield "qazprobe_probes_heard", at, heard
            if number:
                yield "qazprobe_probes_heard", at, _since(13.9, 0)
            yield "qazprobe_probes_active", {**at, "region": ""}, _always(3)
            for class_, share in (("foreign", 0.2), ("domestic", 0.9)):
                yield "qazprobe_connectivity_ratio", {**at, "class": class_}, _always(share)
            labels = {**at, "experiment": "web", "outcome": "ok"}
            yield "qazprobe_measurements_total", labels, _growing(9000)
            for le, rate in (("0.1", 500), ("1.0", 900), ("+Inf", 1000)):
                labels = {**at, "op": "tls", "le": le}
                yield "qazprobe_handshake_seconds_bucket", labels, _growing(rate)

    def _of_events(self) -> Iterator[tuple[str, dict[str, str], Value]]:
        for number, (asn, kind) in enumerate(product(ASNS[: self.networks], _KINDS)):
            at = {"kind": kind, "country": COUNTRY, "asn": asn}
            # Each is confirmed again within the last day, and lasts.
            yield "qazprobe_event_active", at, _since(13.2 + number / 50, 1)
            for state, more in (("suspected", 1), ("confirmed", 0), ("ended", -1)):
                counted = _count_since(13.2 + number / 50, 2 + more)
                yield "qazprobe_events_total", {**at, "state": state}, counted


_FATES = (
    ("blocked", "tls.timeout"),
    ("intercepted", "tls.mitm"),
    ("throttled", "throttle.slow"),
    ("blocked", "dns.injected"),
)
_KINDS = ("blocking", "interception", "throttling", "shutdown", "whitelist")
_COUNTED = {
    "qazcollector_requests_total": {"route": "/v1/measurements", "code": "200"},
    "qazcollector_rejected_total": {"reason": "signature"},
    "qazcollector_records_total": {"role": "probe", "status": "accepted"},
    "qazcollector_judged_total": {},
    "qazcollector_judge_errors_total": {},
}
_GAUGES = {
    "up": 1,
    "qazcollector_backlog_records": 3,
    "qazcollector_backlog_seconds": 0.4,
    "qazcollector_series": 5000,
    "qazcollector_series_limit": 50_000,
    "qazcollector_series_dropped": 0,
    "qazcollector_quorum": 3,
    "qazcollector_connections": 9,
    "qazcollector_held_bytes": 1e6,
    "qazcollector_snapshot_seconds": 0.2,
    "qazcollector_store_bytes": 4e9,
    "qazcollector_disk_free_bytes": 4e10,
    "qazcollector_lease_held": 1,
    "process_resident_memory_bytes": 2e8,
}


def _of_a_collector() -> Iterator[tuple[str, dict[str, str], Value]]:
    for name, labels in _COUNTED.items():
        yield name, labels, _growing(5000)
    for name, value in _GAUGES.items():
        yield name, {}, _always(value)
    built = {"version": "1", "python": "3.13", "store": "sqlite"}
    yield "qazcollector_build_info", built, _always(1)
    for le, rate in (("0.005", 500), ("0.1", 900), ("+Inf", 1000)):
        yield "qazcollector_ingest_seconds_bucket", {"le": le}, _growing(rate)


def _always(value: float) -> Value:
    return lambda _: value


def _growing(a_day: float) -> Value:
    return lambda day: round(day * a_day)


def _before(day: float, value: float) -> Value:
    return lambda at: value if at < day else None


def _since(day: float, value: float) -> Value:
    return lambda at: value if at >= day else None


def _step(day: float) -> Value:
    return lambda at: float(at >= day)


def _count_since(day: float, count: int) -> Value:
    return lambda at: count + (at >= day)
