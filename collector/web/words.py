"""What pages call the closed lists of words: outcomes, mechanisms, kinds and states of events.

Rule: records, CSV and addresses keep the words themselves; here is what a person reads. Every text
is translated where it is shown (`texts` lists them for the catalogues).
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

# In the order of their weight; each has a colour and a letter of its own.
OUTCOMES: Mapping[str, str] = MappingProxyType(
    {
        "intercepted": "intercepted",
        "blocked": "blocked",
        "throttled": "throttled",
        "refused": "refused by the site itself",
        "down": "down everywhere",
        "ok": "works",
        "inconclusive": "could not be judged",
    }
)
LETTERS: Mapping[str, str] = MappingProxyType(
    {
        "intercepted": "I",
        "blocked": "B",
        "throttled": "T",
        "shutdown": "S",
        "whitelist": "W",
        "refused": "R",
        "down": "D",
        "ok": "·",
        "inconclusive": "?",
    }
)
# Those that are shown dashed while too few probes say so.
LOUD = frozenset({"intercepted", "blocked", "throttled"})
KINDS: Mapping[str, str] = MappingProxyType(
    {
        "shutdown": "shutdown",
        "whitelist": "white list",
        "interception": "interception",
        "blocking": "blocking",
        "throttling": "throttling",
    }
)
KIND_SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        "shutdown": "cut off from the internet",
        "whitelist": "only chosen sites can be reached",
        "interception": "intercepted with a forged certificate",
        "blocking": "blocked",
        "throttling": "slowed on purpose",
    }
)
# The word whose colour and letter a kind has.
LOOK_OF_KIND: Mapping[str, str] = MappingProxyType(
    {
        "shutdown": "shutdown",
        "whitelist": "whitelist",
        "interception": "intercepted",
        "blocking": "blocked",
        "throttling": "throttled",
    }
)
STATES: Mapping[str, str] = MappingProxyType(
    {
        "suspected": "suspected",
        "confirmed": "confirmed",
        "ended": "over",
        "withdrawn": "withdrawn",
    }
)
MECHANISMS: Mapping[str, str] = MappingProxyType(
    {
        "dns.nxdomain": "The resolver answers that the name does not exist.",
        "dns.nodata": "The resolver answers that the name has no address.",
        "dns.servfail": "The resolver answers with a failure for this name.",
        "dns.refused": "The resolver refuses to answer for this name.",
        "dns.timeout": "The query for this name gets no answer.",
        "dns.bogon": "The resolver returns an address that is not on the public internet.",
        "dns.wrong_address": "The resolver returns an address that is not the site's.",
        "dns.injected": "A device on the path answers the query before the resolver does.",
        "tcp.refused": "The connection is refused on the path.",
        "tcp.reset": "The connection is reset while it is being opened.",
        "tcp.timeout": "The connection gets no answer.",
        "tcp.unreachable": "A router reports that the site is unreachable.",
        "tls.reset": "The connection is reset after the site's name is sent.",
        "tls.timeout": "The connection gets no answer after the site's name is sent.",
        "tls.eof": "The connection is closed after the site's name is sent.",
        "tls.alert": "A TLS alert rejects the connection after the site's name is sent.",
        "tls.mitm": "A forged certificate is served: its operator can read the traffic.",
        "http.reset": "The connection is reset after the page is requested.",
        "http.timeout": "The request for the page gets no answer.",
        "http.eof": "The connection is closed after the page is requested.",
        "http.blockpage": "A block page is served instead of the site.",
        "http.redirected": "The browser is redirected to a page of another site.",
        "http.injected": "The page was changed on the path.",
        "quic.timeout": "QUIC (HTTP/3) gets no answer.",
        "quic.refused": "QUIC (HTTP/3) is refused on the path.",
        "throttle.policed": "Packets above a rate limit are dropped (policing).",
        "throttle.shaped": "Packets above a rate limit are delayed (shaping).",
        "throttle.slow": "It is selectively slower than other names.",
        "throttle.frozen": "The transfer starts and then stalls.",
        "access.offline": "The connection was not working at all.",
        "access.captive_portal": "A login page (captive portal) answers every request.",
        "access.local_interceptor": "A local product re-signs the certificates of sites.",
        "access.whitelist": "Only an allowed list of sites works.",
        "access.foreign_cut": "No site abroad can be reached.",
    }
)
CATEGORIES: Mapping[str, str] = MappingProxyType(
    {
        "ALDR": "alcohol and drugs",
        "ANON": "circumvention tools: VPNs, proxies, Tor",
        "COMM": "shops",
        "COMT": "messengers and mail",
        "CTRL": "sites that are not expected to be blocked",
        "CULTR": "culture",
        "DATE": "dating",
        "ECON": "economy",
        "ENV": "environment",
        "FILE": "file sharing",
        "GAME": "games",
        "GMB": "gambling",
        "GOVT": "government",
        "GRP": "social networks",
        "HACK": "hacking",
        "HATE": "hate speech",
        "HOST": "hosting",
        "HUMR": "human rights",
        "IGO": "international organisations",
        "LGBT": "LGBT",
        "MILX": "terrorism and militants",
        "MISC": "miscellaneous",
        "MMED": "photos and videos",
        "NEWS": "news",
        "POLR": "political criticism",
        "PORN": "pornography",
        "PROV": "provocative clothing",
        "PUBH": "public health",
        "REL": "religion",
        "SRCH": "search engines",
        "XED": "sex education",
    }
)
# Many of a kind.
KINDS_PLURAL: Mapping[str, str] = MappingProxyType(
    {
        "shutdown": "shutdowns",
        "whitelist": "white lists",
        "interception": "interceptions",
        "blocking": "blockings",
        "throttling": "slowdowns",
    }
)
# What may tell of the time around a cut.
CUT_EVIDENCE: Mapping[str, str] = MappingProxyType(
    {
        "heartbeats": "how many probes were heard",
        "reports": "what probes report afterwards",
        "looks": "measurements of the line",
        "ports": "open ports (no probe tried them, or its record is not kept or not public)",
    }
)
# What says that an event is one.
SOURCES: Mapping[str, str] = MappingProxyType(
    {
        "looks": "measurements",
        "silence": "probes that fell silent together",
        "another_network": "another network that fell silent at the same time",
        "spool": "reports that probes sent afterwards",
        "connectivity": "measurements of the line meanwhile",
        "confirmed": "slow transfers that a second measurement confirmed",
        "fallen": "speed that fell and stayed low",
    }
)
# Revisions as `events/reconcile.py` writes them: what a person reads, with the same gaps.
REVISIONS: Mapping[str, str] = MappingProxyType(
    {
        "opened as {state}": "first told as: {state}",
        "{old} → {new}": "{old} → {new}",
        "measurements that came later moved the beginning": (
            "measurements that came later moved the beginning"
        ),
        "measurements that came later moved the end": "measurements that came later moved the end",
        "also by {words}": "also by {words}",
        "authority {words}": "authority {words}",
    }
)
REASONS: Mapping[str, str] = MappingProxyType(
    {
        "the measurements that remain do not show it": (
            "the measurements that remain do not show it"
        ),
    }
)
# What pages say where something is not there; the API says the same in English.
REFUSALS: Mapping[str, str] = MappingProxyType(
    {
        text: text
        for text in (
            "no site with this name was measured here",
            "nothing was measured on a network with this number",
            "a number such as 9198 or AS9198 expected",
            "no listed site has this category",
            "no event with this id is known here",
            "no wave with this id is known here",
        )
    }
)
# The cities that name the time of their country.
CITIES = (
    *("Almaty", "Ashgabat", "Baku", "Bishkek", "Dushanbe", "Istanbul", "Minsk", "Tashkent"),
    "Tehran",
)
# The context of letters in the catalogues.
LETTER = "letter"
_PLAIN = (
    *(OUTCOMES, KINDS, KIND_SENTENCES, STATES, MECHANISMS, CATEGORIES, SOURCES),
    *(REVISIONS, REASONS, KINDS_PLURAL, CUT_EVIDENCE, REFUSALS),
)


def texts() -> Iterator[tuple[str | None, str]]:
    """Every text, with its context or None."""
    for mapping in _PLAIN:
        yield from ((None, text) for text in mapping.values())
    yield from ((None, city) for city in CITIES)
    yield from ((LETTER, text) for text in LETTERS.values())
