"""Innocent explanations of an untrusted certificate: whose authority it is, and who asked for it.

An organisation may give one of its hosts a certificate of its own authority, and a node of a site
may have another one than the rest. An interceptor shows the name its certificate at any server.
"""

import re
from itertools import pairwise

from probe.analysis.evidence import Evidence
from probe.compare import same_issuer
from probe.model import Role, Tls
from probe.rule import Match

_MAY_BE_ITS_OWN = frozenset(
    {
        "tls.same_server_proves_another_way",
        "tls.one_key_for_unrelated_names",
        "tls.control_sees_another_certificate",
    }
)


# Makers of products that re-sign TLS on a computer, in an office or a school. Names of two words
# are written as one.
_PRODUCTS = frozenset(
    {
        *("antivirus", "parental"),
        *("adguard", "avast", "avg", "avira", "barracuda", "bitdefender", "bluecoat", "bullguard"),
        *("checkpoint", "cisco", "clearos", "cloudflare", "contentkeeper", "cyberoam", "deledao"),
        *("drweb", "emsisoft", "endian", "eset", "fiddler", "forcepoint", "fortigate", "fortinet"),
        *("goguardian", "iboss", "kaspersky", "lightspeed", "linewize", "mcafee", "menlosecurity"),
        *("mimecast", "mitmproxy", "netnanny", "netskope", "netspark", "norton", "opnsense"),
        *("paloalto", "pfsense", "portswigger", "qustodio", "securly", "skyhigh", "smoothwall"),
        *("sonicwall", "sophos", "squid", "symantec", "trendmicro", "umbrella", "untangle"),
        *("watchguard", "websense", "zscaler"),
    }
)
_WORD = re.compile(r"[a-z0-9]+")


def references_are_resigned(e: Evidence, match: Match) -> str | None:
    """The reference sites show other certificates than the authority that is accused."""
    accused = [s for s in match.on_target(e) if isinstance(s, Tls) and s.trust is not None]
    keys = {s.trust.issuer_key for s in accused if s.trust and not s.trust.valid} - {""}
    references = [s for s in e.all(Tls, role=Role.REFERENCE) if s.trust is not None]
    if any(s.trust is not None and s.trust.issuer_key in keys for s in references):
        return "The same untrusted key signs for the reference sites, so it is not about this site."
    return None


def perhaps_the_servers_own(e: Evidence, match: Match) -> str | None:
    """An unrelated server shows it for the name, or a control or a cut hello got another."""
    seen = [s for s in match.on_target(e) if isinstance(s, Tls) and s.trust is not None]
    forged = [s for s in seen if s.trust is not None and not s.trust.anchored]
    if match.rule.id not in _MAY_BE_ITS_OWN or not forged:
        return None
    mine = forged[-1]
    if any(s.sni == mine.sni and s.trust and s.trust.valid for s in seen):
        return None  # the same server proved this name, when the hello was another
    offered = [
        s for s in e.all(Tls, role=Role.NEUTRAL) if s.sni == mine.sni and s.trust is not None
    ]
    if any(same_issuer(s.trust, mine.trust) for s in offered) or _control_got_another(e, mine):
        return None
    if offered:
        return "An unrelated server, offered the same name, shows another certificate."
    return "No other server was seen to show this certificate: it may be the server's own."


def _control_got_another(e: Evidence, mine: Tls) -> bool:
    """At an address where the name is shown this authority's certificate here, or shown none here.

    A control's certificate at an address that was not tried from here says nothing about this one.
    """
    there = [s for s in e.control_handshakes(mine.hop) if s.trust is not None]
    other = {s.address for s in there if not same_issuer(s.trust, mine.trust)}
    here = {s.address for s in e.handshakes(mine.hop) if same_issuer(s.trust, mine.trust)}
    return bool(other & here)


def a_products_own(e: Evidence, match: Match) -> str | None:
    """The certificate is signed by no product for computers, offices and schools."""
    for step in match.on_target(e):
        trust = step.trust if isinstance(step, Tls) else None
        if trust is not None and not trust.valid and _names_a_product(trust.issuer):
            return (
                "The certificate is signed by a product for computers, offices and schools, which"
                " may re-sign some sites alone."
            )
    return None


def _names_a_product(issuer: str) -> bool:
    words = _WORD.findall(issuer.lower())
    joined = {one + other for one, other in pairwise(words)}
    return not _PRODUCTS.isdisjoint({*words, *joined})
