"""Situations as OONI's probe would have recorded them, each with the verdict of an honest judge."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from probe.lab import pki
from tests.probe.interop.ooni.incoming.measured import (
    ANYBODYS,
    BLOCKPAGE_AT,
    HEADERS,
    HERE,
    NOTICE,
    PAGE,
    PLAIN,
    SITE,
    THERE,
    URL,
    Entry,
    connect,
    denied,
    helper,
    measurement,
    older,
    query,
    request,
    shake,
)

OTHER, WWW = "other.example", "www.site.example"
OTHER_AT = "151.101.1.6"
RESET, TIMEOUT, REFUSED, EOF = (
    "connection_reset",
    "generic_timeout_error",
    "connection_refused",
    "eof_error",
)
NXDOMAIN = "dns_nxdomain_error"
HELPERS_REFUSED, HELPERS_TIMEOUT = "connection_refused_error", "generic_timeout_error"


class Situation(NamedTuple):
    """What happened, what was recorded of it, and what may be concluded."""

    make: Callable[[], Entry]
    outcome: str
    mechanisms: tuple[str, ...] = ()


def fine(url: str = URL, **more: object) -> Entry:
    """It worked."""
    tls = [shake()]
    port = 443 if url == URL else 80
    every = [connect(port=port)] if url == URL else [connect(port=80), connect()]
    parts = {"tcp": every, "tls": tls, "requests": [request(url)], "control": helper(), **more}
    return measurement(url, **parts)  # type: ignore[arg-type]


def plain(page: Entry, *, control: Entry | None = None, tls: tuple[Entry, ...] = ()) -> Entry:
    """One page over plain http."""
    every = [connect(port=80), *([connect()] if tls else [])]
    return measurement(PLAIN, tcp=every, tls=tls, requests=[page], control=control or helper())


def redirected(second: Entry, **more: object) -> Entry:
    """A redirect from http to another host, and what came of it."""
    first = request(PLAIN, status=301, body="", headers=[*HEADERS, ["Location", second["input"]]])
    keys = second["test_keys"]
    made = measurement(
        PLAIN,
        queries=[query(), query(engine="udp"), *keys["queries"]],
        tcp=[connect(port=80), *keys["tcp_connect"]],
        tls=keys["tls_handshakes"],
        requests=[first, *keys["requests"]],
        control=helper(),
    )
    return {**made, **more}


def at_other(
    *,
    queries: list[Entry] | None = None,
    tcp: str | None = None,
    tls: str | None = None,
    page: bool = False,
    name: str = OTHER,
) -> Entry:
    """What was recorded at the other host."""
    asked = (
        [
            query([OTHER_AT], name=name, depth=1),
            query([OTHER_AT], name=name, depth=1, engine="udp"),
        ]
        if queries is None
        else queries
    )
    answered = any(one["answers"] for one in asked)
    return measurement(
        f"https://{name}/",
        queries=asked,
        tcp=[connect(OTHER_AT, failure=tcp, depth=1)] if answered else [],
        tls=[shake(OTHER_AT, tls, name=name, depth=1)] if answered and tcp is None else [],
        requests=[request(f"https://{name}/", OTHER_AT, depth=1)] if page else [],
    )


def dns(*queries: Entry, control: Entry | None = None, **more: object) -> Entry:
    """Queries alone, and the helper's answer."""
    parts = {"queries": queries, "control": helper() if control is None else control, **more}
    return measurement(**parts)  # type: ignore[arg-type]


def stopped(failure: str, *addresses: str, control: Entry | None = None) -> Entry:
    """Handshakes that fail."""
    every = addresses or (HERE,)
    return measurement(
        queries=[query(every), query(every, engine="udp")],
        tcp=[connect(one) for one in every],
        tls=[shake(one, failure) for one in every],
        control=helper(every) if control is None else control,
    )


def dialled(failure: str, *addresses: str, control: Entry | None = None) -> Entry:
    """Connections that fail."""
    every = addresses or (HERE,)
    return measurement(
        queries=[query(every)],
        tcp=[connect(one, failure=failure) for one in every],
        control=helper(every) if control is None else control,
    )


def forged(chain: Iterable[bytes], *, control: Entry | None = None) -> Entry:
    """A handshake that OONI's client ended because of the chain."""
    return measurement(
        tcp=[connect()],
        tls=[shake(failure="ssl_unknown_authority", certs=chain)],
        control=control or helper(),
    )


def with_request(made: Entry, failure: str, version: str = "0.4.3") -> Entry:
    """The same of an older probe, with the entry of a request that was never sent."""
    made["test_keys"]["requests"] = [request(failure=failure)]
    made["test_keys"]["requests"][0].pop("address")
    return older(made, version)


def of_2017(made: Entry) -> Entry:
    """The same with what probes of that year wrote, and nothing else."""
    keys = older(made, "0.0.1")["test_keys"]
    for entry in keys["queries"]:
        entry.update(engine=None, query_type="A", resolver_hostname=None, resolver_port=None)
        entry.pop("resolver_address")
    for entry in keys["requests"]:
        for absent in ("address", "network", "alpn", "t"):
            entry.pop(absent)
        entry["response"].pop("headers_list")
    control = keys["control"]
    for absent in ("tls_handshake", "quic_handshake", "http3_request", "ip_info"):
        control.pop(absent)
    kept = {n: keys[n] for n in ("queries", "tcp_connect", "requests", "control", "accessible")}
    base = {n: v for n, v in made.items() if n not in {"resolver_asn", "measurement_uid"}}
    return {
        **base,
        "software_name": "measurement_kit",
        "software_version": "0.7.1",
        "test_version": "0.0.1",
        "test_keys": {**kept, "control_failure": None, "blocking": None},
    }


def _chain(authority: str = "CN=Gateway CA") -> list[bytes]:
    """A certificate of an unknown authority for the site, valid at the time of the measurements."""
    now = datetime(2024, 2, 12, tzinfo=UTC)
    signer = pki.root(authority, now=now)
    served = pki.leaf(signer, (SITE,), now=now, days=(10, 40))
    found = x509.load_pem_x509_certificates(served.chain)
    return [one.public_bytes(Encoding.DER) for one in found]


FORGED_CHAIN = _chain()
HTTPS_443 = f"{HERE}:443"
WRONG = [query([BLOCKPAGE_AT], asn=9198), query(engine="udp")]
SITUATIONS: dict[str, Situation] = {
    # --- it works ------------------------------------------------------------------------------
    "https works": Situation(fine, "ok"),
    "https works, no control": Situation(
        lambda: fine(control=None, control_failure="connection_reset"), "ok"
    ),
    "https works, older": Situation(lambda: older(fine()), "ok"),
    "http works": Situation(lambda: fine(PLAIN), "ok"),
    "http works, older": Situation(lambda: older(fine(PLAIN)), "ok"),
    "http works, no control": Situation(
        lambda: fine(PLAIN, control=None, control_failure="connection_reset"), "inconclusive"
    ),
    "a page without a title, of the same length": Situation(
        lambda: plain(request(PLAIN, body="x" * 5000), control=helper(title="", length=5000)), "ok"
    ),
    "a page without a title, of another length": Situation(
        lambda: plain(request(PLAIN, body="x" * 900), control=helper(title="", length=5000)),
        "inconclusive",
    ),
    "a large file over https": Situation(
        lambda: fine(
            requests=[request(body="x" * 524_288, truncated=True)],
            control=helper(title="", length=16_777_216),
        ),
        "ok",
    ),
    "a large file over http": Situation(
        lambda: plain(
            request(
                PLAIN,
                body="x" * 524_288,
                truncated=True,
                headers=[*HEADERS, ["Content-Length", "16777216"]],
            ),
            control=helper(title="", length=16_777_216),
        ),
        "ok",
    ),
    "a redirect to https": Situation(
        lambda: measurement(
            PLAIN,
            queries=[query(), query(depth=1)],
            tcp=[connect(port=80), connect(depth=1)],
            tls=[shake(depth=1)],
            requests=[
                request(PLAIN, status=301, body="", headers=[["Location", URL]]),
                request(depth=1),
            ],
            control=helper(),
        ),
        "ok",
    ),
    "a redirect to another host, which is what the control shows": Situation(
        lambda: redirected(at_other(page=True)), "ok"
    ),
    "another node of the site, which proves its name": Situation(
        lambda: fine(
            queries=[query([THERE], asn=64500)],
            tcp=[connect(THERE)],
            tls=[shake(THERE)],
            requests=[request(ip=THERE)],
            control=helper([HERE], tcp={HTTPS_443: None}),
        ),
        "ok",
    ),
    "one of two addresses fails, the page comes from the other": Situation(
        lambda: fine(
            queries=[query([HERE, THERE])],
            tcp=[connect(), connect(THERE, failure=TIMEOUT)],
            control=helper([HERE, THERE]),
        ),
        "ok",
    ),
    # --- the server refuses --------------------------------------------------------------------
    "a challenge over https": Situation(
        lambda: fine(
            requests=[request(status=403, body="<title>Just a moment...</title>")],
            control=helper(status=403, title="Just a moment...", length=40),
        ),
        "refused",
    ),
    "the control is challenged, the page came here": Situation(
        lambda: fine(control=helper(status=503, title="Just a moment...", length=400)), "ok"
    ),
    "the control is challenged, the page came here over http": Situation(
        lambda: plain(
            request(PLAIN), control=helper(status=403, title="Just a moment...", length=400)
        ),
        "inconclusive",
    ),
    "451 over https": Situation(lambda: fine(requests=[request(status=451)]), "refused"),
    # --- names ---------------------------------------------------------------------------------
    "NXDOMAIN here": Situation(lambda: dns(denied()), "blocked", ("dns.nxdomain",)),
    "NXDOMAIN here and of a public resolver in the clear": Situation(
        lambda: dns(denied(), denied(engine="udp")), "blocked", ("dns.nxdomain",)
    ),
    "NXDOMAIN here, older": Situation(lambda: older(dns(denied())), "blocked", ("dns.nxdomain",)),
    "NXDOMAIN here, the site works by other addresses": Situation(
        lambda: dns(
            denied(), query(engine="udp"), tcp=[connect()], tls=[shake()], requests=[request()]
        ),
        "blocked",
        ("dns.nxdomain",),
    ),
    "NXDOMAIN here, the user's resolver is a public one": Situation(
        lambda: dns(denied(), resolver_asn="AS36692"), "inconclusive"
    ),
    "NXDOMAIN here, no control": Situation(lambda: measurement(queries=[denied()]), "inconclusive"),
    "NXDOMAIN everywhere": Situation(
        lambda: dns(
            denied(),
            denied(engine="udp"),
            control=helper((), dns_failure="dns_name_error", http_failure="dns_lookup_error"),
        ),
        "down",
    ),
    "no address here": Situation(lambda: dns(denied("dns_no_answer")), "blocked", ("dns.nodata",)),
    "no address everywhere": Situation(
        lambda: dns(denied("dns_no_answer"), control=helper((), http_failure="dns_lookup_error")),
        "down",
    ),
    "Android's cache has no data": Situation(
        lambda: dns(denied("android_dns_cache_no_data")), "blocked", ("dns.nodata",)
    ),
    "SERVFAIL here": Situation(lambda: dns(denied("dns_servfail_error")), "inconclusive"),
    "no answer in time": Situation(lambda: dns(denied(TIMEOUT)), "inconclusive"),
    "a private address here": Situation(lambda: dns(query(["10.10.34.35"])), "inconclusive"),
    "a private address here and of a public resolver in the clear": Situation(
        lambda: dns(query(["10.10.34.35"]), query(["10.10.34.35"], engine="udp")),
        "blocked",
        ("dns.bogon",),
    ),
    "this machine's address here": Situation(lambda: dns(query(["127.0.0.1"])), "inconclusive"),
    "this machine's address here and of a public resolver in the clear": Situation(
        lambda: dns(query(["127.0.0.1"]), query(["127.0.0.1"], engine="udp")),
        "blocked",
        ("dns.bogon",),
    ),
    "the address of a filter at home": Situation(
        lambda: dns(query(["0.0.0.0"]), query(engine="udp")),
        "inconclusive",
    ),
    "a router's own address for everything that is asked": Situation(
        lambda: dns(query(["192.168.1.1"]), query(["192.168.1.1"], engine="udp")), "inconclusive"
    ),
    "an address that a tunnel's program made up": Situation(
        lambda: dns(query(["198.18.0.5"]), tcp=[connect("198.18.0.5")]), "inconclusive"
    ),
    "NXDOMAIN here, of a resolver of an unknown network": Situation(
        lambda: dns(denied(), query(engine="udp"), resolver_asn="AS0"), "inconclusive"
    ),
    "NXDOMAIN here, of a resolver of another network": Situation(
        lambda: dns(denied(), query(engine="udp"), resolver_asn="AS64500"), "inconclusive"
    ),
    "NXDOMAIN here, of a resolver of another network, and of a public one in the clear": Situation(
        lambda: dns(denied(), denied(engine="udp"), resolver_asn="AS64500"),
        "blocked",
        ("dns.nxdomain",),
    ),
    "this machine's address everywhere": Situation(
        lambda: dns(
            query(["127.0.0.1"]),
            control=helper(["127.0.0.1"], tcp={}, http_failure="unknown_error"),
        ),
        "down",
    ),
    "a wrong address with a notice": Situation(
        lambda: measurement(
            PLAIN,
            queries=WRONG,
            tcp=[connect(BLOCKPAGE_AT, 80)],
            requests=[request(PLAIN, BLOCKPAGE_AT, body=NOTICE)],
            control=helper(tcp={HTTPS_443: None, f"{BLOCKPAGE_AT}:80": None}),
        ),
        "blocked",
        ("dns.wrong_address",),
    ),
    "a wrong address in the provider's network that does not prove the name": Situation(
        lambda: measurement(
            queries=WRONG,
            tcp=[connect(BLOCKPAGE_AT)],
            tls=[shake(BLOCKPAGE_AT, "ssl_unknown_authority")],
            control=helper(
                tcp={HTTPS_443: None, f"{BLOCKPAGE_AT}:443": None},
                tls={HTTPS_443: None, f"{BLOCKPAGE_AT}:443": "ssl_unknown_authority"},
            ),
        ),
        "blocked",
        ("dns.wrong_address",),
    ),
    "another site's certificate in the provider's network": Situation(
        lambda: measurement(
            queries=WRONG,
            tcp=[connect(BLOCKPAGE_AT)],
            tls=[shake(BLOCKPAGE_AT, "ssl_invalid_hostname")],
            control=helper(
                tcp={HTTPS_443: None, f"{BLOCKPAGE_AT}:443": None},
                tls={HTTPS_443: None, f"{BLOCKPAGE_AT}:443": "ssl_invalid_hostname"},
            ),
        ),
        "inconclusive",
    ),
    "an address elsewhere that does not answer, for the control either": Situation(
        lambda: measurement(
            queries=[query([THERE], asn=64500), query(engine="udp")],
            tcp=[connect(THERE, failure=TIMEOUT)],
            control=helper(tcp={HTTPS_443: None, f"{THERE}:443": HELPERS_TIMEOUT}),
        ),
        "inconclusive",
    ),
    "a proxy that leads to the site": Situation(
        lambda: fine(
            queries=[query([BLOCKPAGE_AT], asn=9198), query(engine="udp")],
            tcp=[connect(BLOCKPAGE_AT)],
            tls=[shake(BLOCKPAGE_AT)],
            requests=[request(ip=BLOCKPAGE_AT)],
        ),
        "ok",
    ),
    "a dead name that is answered here": Situation(
        lambda: measurement(
            queries=[query([BLOCKPAGE_AT], asn=9198)],
            tcp=[connect(BLOCKPAGE_AT, failure=TIMEOUT)],
            control=helper((), dns_failure="dns_name_error", http_failure="dns_lookup_error"),
        ),
        "inconclusive",
    ),
    # --- connections ---------------------------------------------------------------------------
    "the connection times out here": Situation(
        lambda: dialled(TIMEOUT), "blocked", ("tcp.timeout",)
    ),
    "the connection times out here, older": Situation(
        lambda: older(dialled(TIMEOUT)), "blocked", ("tcp.timeout",)
    ),
    "the connection is refused here": Situation(
        lambda: dialled(REFUSED), "blocked", ("tcp.refused",)
    ),
    "both addresses are reset here": Situation(
        lambda: dialled(RESET, HERE, THERE), "blocked", ("tcp.reset",)
    ),
    "the connection times out everywhere": Situation(
        lambda: dialled(
            TIMEOUT, control=helper(tcp={HTTPS_443: HELPERS_TIMEOUT}, tls={}, http_failure=TIMEOUT)
        ),
        "down",
    ),
    "the connection is refused everywhere": Situation(
        lambda: dialled(
            REFUSED,
            control=helper(tcp={HTTPS_443: HELPERS_REFUSED}, tls={}, http_failure=HELPERS_REFUSED),
        ),
        "down",
    ),
    "a timeout here, a refusal for the control": Situation(
        lambda: dialled(
            TIMEOUT,
            control=helper(tcp={HTTPS_443: HELPERS_REFUSED}, tls={}, http_failure=HELPERS_REFUSED),
        ),
        "inconclusive",
    ),
    "no control, the connection times out": Situation(
        lambda: measurement(tcp=[connect(failure=TIMEOUT)]), "inconclusive"
    ),
    "one of two addresses was never tried": Situation(
        lambda: measurement(
            queries=[query([HERE, THERE])],
            tcp=[connect(failure=TIMEOUT)],
            control=helper([HERE, THERE]),
        ),
        "inconclusive",
    ),
    "IPv6 loses what is large": Situation(lambda: stopped(TIMEOUT, "2606:4700::1"), "inconclusive"),
    "IPv6 has no route": Situation(
        lambda: fine(
            queries=[query([HERE, "2606:4700::1"])],
            tcp=[connect(), connect("2606:4700::1", failure="network_unreachable")],
        ),
        "ok",
    ),
    "only IPv6 has an address, and no route": Situation(
        lambda: measurement(
            queries=[query(["2606:4700::1"])],
            tcp=[connect("2606:4700::1", failure="host_unreachable")],
            control=helper(["2606:4700::1"]),
        ),
        "inconclusive",
    ),
    # --- handshakes ----------------------------------------------------------------------------
    "a reset after the hello": Situation(lambda: stopped(RESET), "blocked", ("tls.reset",)),
    "a reset after the hello, older": Situation(
        lambda: older(stopped(RESET)), "blocked", ("tls.reset",)
    ),
    "a reset after the hello, and nothing is said of the helper": Situation(
        lambda: {**stopped(RESET), "test_helpers": None}, "blocked", ("tls.reset",)
    ),
    "a reset after the hello, and an old client says nothing of the helper": Situation(
        lambda: {**stopped(RESET), "test_helpers": None, "test_version": "0.0.1"}, "inconclusive"
    ),
    "silence after the hello": Situation(lambda: stopped(TIMEOUT), "blocked", ("tls.timeout",)),
    "a close after the hello": Situation(lambda: stopped(EOF), "blocked", ("tls.eof",)),
    "a reset at both addresses": Situation(
        lambda: stopped(RESET, HERE, THERE), "blocked", ("tls.reset",)
    ),
    "a reset at one address, the other one works": Situation(
        lambda: fine(
            queries=[query([HERE, THERE])],
            tcp=[connect(), connect(THERE)],
            tls=[shake(), shake(THERE, RESET)],
            control=helper([HERE, THERE]),
        ),
        "ok",
    ),
    "a reset everywhere": Situation(
        lambda: stopped(RESET, control=helper(tls={HTTPS_443: RESET}, http_failure=RESET)), "down"
    ),
    "a reset here, a timeout for the control": Situation(
        lambda: stopped(RESET, control=helper(tls={HTTPS_443: TIMEOUT}, http_failure=TIMEOUT)),
        "inconclusive",
    ),
    "a reset, no control": Situation(
        lambda: measurement(tcp=[connect()], tls=[shake(failure=RESET)]), "inconclusive"
    ),
    "a reset, and the control never tried the address": Situation(
        lambda: stopped(RESET, control=helper([THERE], tcp={f"{THERE}:443": None})),
        "inconclusive",
    ),
    "an alert": Situation(lambda: stopped("ssl_failed_handshake"), "inconclusive"),
    "a control without handshakes got the page": Situation(
        lambda: older(stopped(RESET, control=helper(tls={}))), "blocked", ("tls.reset",)
    ),
    # --- certificates --------------------------------------------------------------------------
    "an expired certificate everywhere": Situation(
        lambda: stopped(
            "ssl_invalid_certificate",
            control=helper(
                tls={HTTPS_443: "ssl_invalid_certificate"}, http_failure="unknown_error"
            ),
        ),
        "down",
    ),
    "a certificate of another name everywhere": Situation(
        lambda: stopped(
            "ssl_invalid_hostname",
            control=helper(tls={HTTPS_443: "ssl_invalid_hostname"}, http_failure="unknown_error"),
        ),
        "down",
    ),
    "an unknown authority here alone": Situation(
        lambda: forged(FORGED_CHAIN), "intercepted", ("tls.mitm",)
    ),
    "an antivirus re-signs this site": Situation(
        lambda: forged(_chain("CN=Web Shield Root,O=Guardian Antivirus")), "inconclusive"
    ),
    "a product re-signs this site": Situation(
        lambda: forged(_chain("CN=FortiGate CA,O=Fortinet")), "inconclusive"
    ),
    "an unknown authority, and its certificate was not kept": Situation(
        lambda: stopped("ssl_unknown_authority"), "inconclusive"
    ),
    "the same unknown authority everywhere": Situation(
        lambda: forged(
            FORGED_CHAIN,
            control=helper(tls={HTTPS_443: "ssl_unknown_authority"}, http_failure="unknown_error"),
        ),
        "down",
    ),
    "an unknown authority here, an expired certificate for the control": Situation(
        lambda: forged(
            FORGED_CHAIN,
            control=helper(
                tls={HTTPS_443: "ssl_invalid_certificate"}, http_failure="unknown_error"
            ),
        ),
        "inconclusive",
    ),
    "a chain that leads to none of today's roots, and OONI's client accepted it": Situation(
        lambda: fine(tls=[shake(certs=FORGED_CHAIN)]), "ok"
    ),
    "the same, no control": Situation(
        lambda: fine(
            tls=[shake(certs=FORGED_CHAIN)], control=None, control_failure="connection_reset"
        ),
        "inconclusive",
    ),
    "an unknown authority, no control": Situation(
        lambda: measurement(tcp=[connect()], tls=[shake(failure="ssl_unknown_authority")]),
        "inconclusive",
    ),
    "an expired certificate here alone": Situation(
        lambda: stopped("ssl_invalid_certificate"), "inconclusive"
    ),
    # --- pages ---------------------------------------------------------------------------------
    "a reset after the request": Situation(
        lambda: plain(request(PLAIN, failure=RESET)), "blocked", ("http.reset",)
    ),
    "silence after the request": Situation(
        lambda: plain(request(PLAIN, failure=TIMEOUT)), "blocked", ("http.timeout",)
    ),
    "a reset after the request everywhere": Situation(
        lambda: plain(request(PLAIN, failure=RESET), control=helper(http_failure=RESET)), "down"
    ),
    "a reset after the request, the control failed otherwise": Situation(
        lambda: plain(request(PLAIN, failure=RESET), control=helper(http_failure="unknown_error")),
        "inconclusive",
    ),
    "a slow page over https": Situation(
        lambda: fine(requests=[request(failure=TIMEOUT)]), "inconclusive"
    ),
    "a notice that the site itself may show": Situation(
        lambda: plain(request(PLAIN, body=ANYBODYS)), "inconclusive"
    ),
    "such a notice of a filter that the user chose": Situation(
        lambda: measurement(
            PLAIN,
            queries=[query([BLOCKPAGE_AT], asn=64500), query(engine="udp")],
            tcp=[connect(BLOCKPAGE_AT, 80)],
            requests=[request(PLAIN, BLOCKPAGE_AT, body=ANYBODYS)],
            control=helper(),
            resolver_asn="AS64500",
        ),
        "inconclusive",
    ),
    "such a notice in the provider's network": Situation(
        lambda: measurement(
            PLAIN,
            queries=WRONG,
            tcp=[connect(BLOCKPAGE_AT, 80)],
            requests=[request(PLAIN, BLOCKPAGE_AT, body=ANYBODYS)],
            control=helper(),
        ),
        "blocked",
        ("dns.wrong_address",),
    ),
    "a notice": Situation(
        lambda: plain(request(PLAIN, body=NOTICE)), "blocked", ("http.blockpage",)
    ),
    "a site that turns this country away itself": Situation(
        lambda: plain(
            request(PLAIN, body="<title>Доступ ограничен</title><p>Сайт доступен только в РФ</p>")
        ),
        "inconclusive",
    ),
    "a notice, older": Situation(
        lambda: older(plain(request(PLAIN, body=NOTICE))), "blocked", ("http.blockpage",)
    ),
    "a notice, no control": Situation(
        lambda: measurement(PLAIN, tcp=[connect(port=80)], requests=[request(PLAIN, body=NOTICE)]),
        "inconclusive",
    ),
    "the server's own 403 with words of refusal": Situation(
        lambda: plain(request(PLAIN, status=403, body=NOTICE)), "inconclusive"
    ),
    "another page without such words": Situation(
        lambda: plain(request(PLAIN, body=PAGE.replace("The news of the day", "Welcome abroad"))),
        "inconclusive",
    ),
    "the same page with another title": Situation(
        lambda: plain(request(PLAIN), control=helper(title="Yesterday's news")), "inconclusive"
    ),
    "a server error everywhere": Situation(
        lambda: fine(
            requests=[request(status=502, body="bad gateway")],
            control=helper(status=502, title="", length=11),
        ),
        "down",
    ),
    # --- redirects -----------------------------------------------------------------------------
    "the redirect's target is reset": Situation(
        lambda: redirected(at_other(tls=RESET, name=WWW)), "blocked", ("tls.reset",)
    ),
    "the redirect's target is refused": Situation(
        lambda: redirected(at_other(tcp=REFUSED, name=WWW)), "blocked", ("tcp.refused",)
    ),
    "the redirect's target is reset, perhaps one for this country": Situation(
        lambda: redirected(at_other(tls=RESET)), "inconclusive"
    ),
    "the redirect's target is refused, perhaps one for this country": Situation(
        lambda: redirected(at_other(tcp=REFUSED)), "inconclusive"
    ),
    "the redirect's target does not exist in the clear, and does when encrypted": Situation(
        lambda: redirected(
            at_other(
                queries=[
                    denied(name=OTHER, depth=1),
                    query([OTHER_AT], name=OTHER, depth=1, engine="doh"),
                ]
            )
        ),
        "blocked",
        ("dns.nxdomain",),
    ),
    "the redirect's target does not exist for anybody here": Situation(
        lambda: redirected(at_other(queries=[denied(name=OTHER, depth=1)])), "inconclusive"
    ),
    "a redirect to nowhere, everywhere": Situation(
        lambda: plain(
            request(PLAIN, status=301, body="", headers=[["Location", "http://"]]),
            control=helper(http_failure="unknown_error"),
        ),
        "down",
    ),
    "ten redirects, and no end for the control either": Situation(
        lambda: measurement(
            PLAIN,
            queries=[query(depth=n) for n in range(11)],
            tcp=[connect(port=80, depth=n) for n in range(11)],
            requests=[
                request(
                    f"{PLAIN}{n or ''}",
                    status=302,
                    body="",
                    headers=[["Location", f"{PLAIN}{n + 1}"]],
                    depth=n,
                )
                for n in range(11)
            ],
            control=helper(http_failure="unknown_error"),
        ),
        "down",
    ),
    # --- older probes, which write a request for what failed below it ---------------------------
    "older, a reset after the hello and its request": Situation(
        lambda: with_request(stopped(RESET), RESET), "blocked", ("tls.reset",)
    ),
    "older, NXDOMAIN and its request": Situation(
        lambda: with_request(dns(denied()), NXDOMAIN), "blocked", ("dns.nxdomain",)
    ),
    "older, a refused connection and its request": Situation(
        lambda: with_request(dialled(REFUSED), REFUSED), "blocked", ("tcp.refused",)
    ),
    "older, an expired certificate everywhere and its request": Situation(
        lambda: with_request(
            stopped(
                "ssl_invalid_certificate",
                control=helper(
                    tls={HTTPS_443: "ssl_invalid_certificate"}, http_failure="unknown_error"
                ),
            ),
            "ssl_invalid_certificate",
        ),
        "down",
    ),
    "before handshakes were recorded, a reset": Situation(
        lambda: with_request(measurement(tcp=[connect()], control=helper(tls={})), RESET, "0.0.1"),
        "blocked",
        ("tls.reset",),
    ),
    "before handshakes were recorded, a reset everywhere": Situation(
        lambda: with_request(
            measurement(tcp=[connect()], control=helper(tls={}, http_failure=RESET)),
            RESET,
            "0.0.1",
        ),
        "down",
    ),
    "of 2017, the page came over http": Situation(lambda: of_2017(fine(PLAIN)), "ok"),
    "of 2017, NXDOMAIN": Situation(lambda: of_2017(dns(denied())), "inconclusive"),
    "of 2017, a notice": Situation(
        lambda: of_2017(plain(request(PLAIN, body=NOTICE))), "blocked", ("http.blockpage",)
    ),
    # --- nothing -------------------------------------------------------------------------------
    "nothing was recorded": Situation(lambda: measurement(queries=[]), "inconclusive"),
    "https, and no handshake was recorded": Situation(
        lambda: older(fine(tls=[]), "0.0.1"), "inconclusive"
    ),
}
