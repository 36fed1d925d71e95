"""Any record: what a probe may write, and what somebody hostile may upload."""

from typing import Any

from hypothesis import strategies as st

from probe.failure import Failure
from probe.model import (
    Control,
    Dns,
    Http,
    Mechanism,
    Outcome,
    Ping,
    Quic,
    Record,
    Reply,
    Role,
    Stage,
    Step,
    Tcp,
    Tls,
    Travel,
    Trust,
    TrustReason,
    Vantage,
    Verdict,
)

HOSTS = ("site.example", "www.site.example", "b-api.facebook.com", "e1.whatsapp.net", "")
ADDRESSES = ("192.0.2.1", "192.0.2.2", "2001:db8::1", "10.0.0.1", "")
PORTS = (80, 443, 5222)
URLS = ("https://site.example/", "http://site.example/a", "http://[", "")
EXPERIMENTS = ("web", "whatsapp", "signal", "messenger", "tor")
PARTS = ("messages", "registration", "web", "directory authorities", "directories", "bridge 1")

texts = st.text(max_size=12)
seconds = st.floats(0, 100)
failures = st.one_of(st.none(), st.sampled_from(list(Failure)))
certificates = st.dictionaries(st.sampled_from(["aa", "bb"]), st.sampled_from(["AAAA", "!"]))
chains = st.lists(st.sampled_from(["aa", "bb", "cc"]), max_size=3).map(tuple)
trusts = st.one_of(
    st.none(),
    st.builds(
        Trust, valid=st.booleans(), reason=st.one_of(st.none(), st.sampled_from(list(TrustReason)))
    ),
)
replies = st.builds(
    Reply,
    at=seconds,
    rcode=st.integers(0, 5),
    answers=st.lists(st.sampled_from(ADDRESSES), max_size=3).map(tuple),
    cnames=st.lists(st.sampled_from(HOSTS), max_size=2).map(tuple),
    ttl=st.lists(st.integers(0, 9), max_size=4).map(tuple),
)


def _of(kind: type[Any], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(
        kind,
        id=st.integers(0, 12),
        parent=st.one_of(st.none(), st.integers(0, 12)),
        role=st.sampled_from([Role.TARGET, Role.TARGET, *Role]),
        hop=st.integers(0, 2),
        try_=st.integers(1, 3),
        failure=failures,
        detail=st.one_of(st.none(), texts),
        at=seconds,
        elapsed=seconds,
        travel=st.one_of(st.none(), st.just(Travel(ttl=3)), st.just(Travel())),
        **fields,
    )


_server = {"address": st.sampled_from(ADDRESSES), "port": st.sampled_from(PORTS)}
steps: st.SearchStrategy[Step] = st.one_of(
    _of(
        Dns,
        name=st.sampled_from(HOSTS),
        resolver=st.sampled_from(["system", "9.9.9.9"]),
        transport=st.sampled_from(["udp", "tcp", "dot", "doh"]),
        type=st.sampled_from(["A", "AAAA", "HTTPS"]),
        replies=st.lists(replies, max_size=3).map(tuple),
    ),
    _of(Tcp, **_server, segment_limit=st.one_of(st.none(), st.just(500))),
    _of(
        Tls,
        **_server,
        sni=st.one_of(st.none(), st.sampled_from(HOSTS)),
        hello=st.sampled_from(["default", "split", "ech"]),
        cipher=st.one_of(st.none(), st.just("ECDHE-RSA-AES128-GCM-SHA256"), texts),
        chain=chains,
        trust=trusts,
    ),
    _of(
        Http,
        **_server,
        url=st.sampled_from(URLS),
        host=st.sampled_from(HOSTS),
        status=st.one_of(st.none(), st.just(200)),
        headers=st.dictionaries(texts, texts, max_size=2),
        title=st.one_of(st.none(), texts),
        body=st.one_of(st.none(), st.sampled_from(["SGk=", "/w==", "%", "é"])),
        received_bytes=st.integers(0, 9000),
    ),
    _of(Quic, **_server, chain=chains, trust=trusts),
    _of(Ping, what=st.sampled_from(PARTS), address=st.one_of(st.none(), _server["address"])),
)
verdicts = st.one_of(
    st.none(),
    st.builds(
        Verdict,
        outcome=st.sampled_from(list(Outcome)),
        mechanisms=st.lists(st.sampled_from(list(Mechanism)), max_size=3).map(tuple),
        stage=st.sampled_from(list(Stage)),
        confidence=st.floats(0, 1),
    ),
)
controls = st.builds(
    Control,
    id=st.just("control"),
    age=st.floats(-900, 900),
    steps=st.lists(steps, max_size=6).map(tuple),
)


def records(experiment: st.SearchStrategy[str]) -> st.SearchStrategy[Record]:
    """Records of these experiments, made at a place that OONI knows."""
    return st.builds(
        Record,
        id=st.uuids().map(str),
        run=st.uuids().map(str),
        experiment=experiment,
        input=st.sampled_from([*URLS, "service:signal"]),
        lab=st.booleans(),
        started_at=st.just("2026-11-21T21:39:05.123Z"),
        elapsed=seconds,
        vantage=st.just(Vantage(country="KZ", asn=9198, kind="mobile", platform="Linux")),
        steps=st.lists(steps, max_size=16).map(tuple),
        certs=certificates,
        resolver_asn=st.one_of(st.none(), st.integers(0, 2**32 - 1)),
        control=st.lists(controls, max_size=2).map(tuple),
        verdict=verdicts,
    )
