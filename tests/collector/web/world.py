"""A store that has everything that pages can show: invented, made by statements.

Its names are reserved ones (RFC 2606); one site and one authority have hostile text for a name.
"""

import asyncio
import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from collector.events import keeper
from collector.store import migrate_store, open_store

DAY, HOUR = 86_400, 3600
DAYS = 84
HOSTILE = "<script>alert(1)</script>'\"&.example"
# ASN and how many probes it has.
NETWORKS = {9198: 4, 206026: 3, 29355: 2, 48503: 2, 41798: 1, 64512: 1}
SITES = {
    "NEWS": ("chronicle", "free-radio", "morning-post", "investigations-weekly", "kursiv"),
    "HUMR": ("amnesty", "rights-watch", "legal-aid-bureau"),
    "ANON": ("onion-router", "proton-tunnel", "psi", "a-very-long-name-of-a-circumvention-service"),
    "GRP": ("photos-and-friends", "short-messages"),
    "MMED": ("video-tube", "clips"),
    "COMT": ("telegraph", "signals"),
    "GOVT": ("egov", "akorda"),
    "CTRL": ("always-there",),
}
# Site: outcome, mechanisms, first and last day ago (0: it lasts), and on which networks.
TROUBLES = (
    ("chronicle", "blocked", "tls.timeout", 60, 0, (9198, 206026, 29355, 48503, 41798)),
    ("free-radio", "blocked", "dns.wrong_address http.blockpage", 40, 0, (9198, 206026)),
    ("free-radio", "blocked", "tls.reset", 5, 0, (29355,)),
    ("investigations-weekly", "blocked", "tls.timeout", 1, 0, (9198, 29355, 206026)),
    ("onion-router", "blocked", "tcp.timeout", 80, 0, (9198, 206026, 29355, 48503)),
    ("proton-tunnel", "blocked", "tls.reset", 70, 12, (9198, 206026)),
    ("a-very-long-name-of-a-circumvention-service", "blocked", "tls.eof", 30, 0, (9198, 48503)),
    ("photos-and-friends", "intercepted", "tls.mitm", 20, 0, (9198, 29355)),
    ("short-messages", "intercepted", "tls.mitm", 33, 30, (206026,)),
    ("video-tube", "throttled", "throttle.policed", 15, 0, (206026, 48503)),
    ("clips", "throttled", "throttle.slow", 9, 2, (9198,)),
    ("legal-aid-bureau", "blocked", "http.redirected", 3, 0, (48503,)),
    ("telegraph", "refused", "", 50, 0, (9198,)),
    ("kursiv", "down", "", 2, 0, tuple(NETWORKS)),
    (HOSTILE, "blocked", "<b>tls</b>", 10, 0, (9198, 206026)),
)
KINDS = {"blocked": "blocking", "intercepted": "interception", "throttled": "throttling"}
_EVENT = """
INSERT INTO event (id, kind, target, country, asn, state, began_after, began_by, ended_after,
  ended_by, last_seen_at, last_look_at, confirmed_at, opened_at, published_at, mechanisms,
  authority, agree, able, confidence, evidence, sources, reason, wave, revision, category)
VALUES (?, ?, ?, 'KZ', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0.98, '', 'looks', ?, ?, 1, ?)
"""


def name(site: str) -> str:
    """The label of a site."""
    return site if site == HOSTILE else f"{site}.example"


def make(folder: Path, now: float) -> None:
    """Make the store and the list of its sites."""
    file = folder / "store.sqlite3"
    asyncio.run(_empty(file))
    rows = [f"https://{name(s)}/,{code}" for code, of in SITES.items() for s in of]
    (folder / "targets.csv").write_text("\n".join(("url,category_code", *rows, "")))
    today = int(now // DAY)
    with closing(sqlite3.connect(file)) as connection, connection:
        _probes(connection, now)
        for site in (*(s for of in SITES.values() for s in of), HOSTILE):
            for asn in NETWORKS:
                _site(connection, site, asn, today, now)
        for trouble in TROUBLES:
            _events(connection, trouble, now)
        _lines(connection, now)
        _settle(connection)
        connection.execute("INSERT INTO total SELECT 'web', outcome, country, asn, SUM(n)"
                           " FROM daily GROUP BY outcome, country, asn")  # fmt: skip


async def _empty(file: Path) -> None:
    await migrate_store(f"sqlite:///{file}")
    await (await open_store(f"sqlite:///{file}")).close()


def _probes(connection: sqlite3.Connection, now: float) -> None:
    for asn, number in NETWORKS.items():
        for n in range(number):
            connection.execute(
                "INSERT INTO probe (key_id, public_key, role, enrolled_at, seen_at, country, asn,"
                " region, way) VALUES (?, ?, 'probe', 0, ?, 'KZ', ?, 'KZ-75', 'invite')",
                (f"key{asn}-{n}", b"0", int(now), asn),
            )
            beats = [(f"key{asn}-{n}", int(now // HOUR) - h, asn) for h in range(30)]
            connection.executemany(
                "INSERT INTO beat VALUES (?, ?, 'KZ', ?, 4095, 0, 0)",
                beats,
            )
            # For some hours little was reached abroad; one hour was not measured.
            reached = [
                (
                    f"key{asn}-{n}",
                    f"line{asn}-{n}-{h}",
                    now - h * HOUR,
                    asn,
                    0.2 if 7 < h < 11 else 0.92,
                )
                for h in range(30)
                if h != 15
            ]
            connection.executemany(
                "INSERT INTO series (key_id, id, experiment, target, at, country, asn, outcome,"
                " mechanisms, foreign_alive, domestic_alive)"
                " VALUES (?, ?, 'connectivity', '', ?, 'KZ', ?, 'ok', '', ?, 1.0)",
                reached,
            )


def _settle(connection: sqlite3.Connection) -> None:
    """Note that the events were made of these looks already: the store tells them as they are."""
    trusted = [f"key{asn}-{n}" for asn, number in NETWORKS.items() for n in range(number)]
    settings: Any = SimpleNamespace(quorum=2)
    basis = keeper._basis(settings, trusted)
    connection.execute("INSERT INTO meta (name, value) VALUES ('events_basis', ?)", (basis,))


def _trouble(site: str, asn: int, ago: int) -> tuple[str, str]:
    """What is found on a day; a day now and then differs, or was not measured at all."""
    dice = hashlib.sha256(f"{site}{asn}{ago}".encode()).digest()[0]
    if dice < 12 and ago:
        return "", ""
    for of, outcome, mechanisms, first, last, networks in TROUBLES:
        if of == site and asn in networks and last <= ago <= first:
            return ("ok", "") if dice > 246 else (outcome, mechanisms)
    return ("inconclusive", "") if dice > 244 else ("ok", "")


def _site(connection: sqlite3.Connection, site: str, asn: int, today: int, now: float) -> None:
    target = name(site)
    for ago in range(DAYS):
        outcome, mechanisms = _trouble(site, asn, ago)
        if not outcome:
            continue
        n, day = 4 * NETWORKS[asn], today - ago
        row = (target, day, "KZ", asn, "web", outcome, n)
        connection.execute("INSERT INTO daily VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        hour = (day * 24, "web", target, "KZ", asn, outcome, n)
        connection.execute("INSERT INTO hourly VALUES (?, ?, ?, ?, ?, ?, ?)", hour)
        if outcome in KINDS and ago < 45:
            connection.execute(
                "INSERT INTO vote (hour, key_id, target, experiment, id, at, country, asn, outcome,"
                " stage, mechanisms) VALUES (?, ?, ?, 'web', 'x', ?, 'KZ', ?, ?, 'confirmed', ?)",
                (day * 24, f"key{asn}-0", target, day * DAY, asn, outcome, mechanisms),
            )
        if "video" in site and ago < 40:
            slow = 40_000 + 900 * (ago % 7) if outcome == "throttled" else 2_400_000
            connection.execute(
                "INSERT INTO series (key_id, id, experiment, target, at, country, asn, outcome,"
                " mechanisms, rate_target, rate_reference)"
                " VALUES (?, ?, 'throttle', ?, ?, 'KZ', ?, ?, '', ?, ?)",
                (f"key{asn}-0", f"{asn}{ago}", target, now - ago * DAY, asn, outcome, slow,
                 2_600_000 + 40_000 * (ago % 5)),
            )  # fmt: skip
    outcome, mechanisms = _trouble(site, asn, 0)
    for n in range(NETWORKS[asn]):
        # One probe of a large network sees no trouble.
        said = "ok" if n == 3 and outcome in KINDS else outcome
        connection.execute(
            "INSERT INTO newest (key_id, input, experiment, id, run, at, target, country, asn,"
            " outcome, mechanisms, stage, severity, authority, foreign_alive, domestic_alive)"
            " VALUES (?, ?, 'web', 'x', 'x', ?, ?, 'KZ', ?, ?, ?, 'confirmed', 1, '', 0.92, 1.0)",
            (f"key{asn}-{n}", f"https://{target}/", now - HOUR, target, asn, said, mechanisms),
        )


def _events(
    connection: sqlite3.Connection,
    trouble: tuple[str, str, str, int, int, tuple[int, ...]],
    now: float,
) -> None:
    site, outcome, mechanisms, first, last, networks = trouble
    if outcome not in KINDS:
        return
    code = next((code for code, of in SITES.items() if site in of), "")
    for place, asn in enumerate(networks):
        began = now - first * DAY + 3 * HOUR * place
        ended = now - last * DAY if last else None
        number = NETWORKS[asn]
        state = "ended" if last else "confirmed" if number > 1 else "suspected"
        told = began if state != "suspected" else None
        id_ = hashlib.sha256(f"{site}{asn}{first}".encode()).hexdigest()[:12]
        values = (
            *(id_, KINDS[outcome], name(site), asn, state, began - 5 * HOUR, began),
            *(ended and ended - 4 * HOUR, ended, ended or now - HOUR, now - HOUR, told, began),
            *(told, mechanisms, "qaznet-2019" if outcome == "intercepted" else ""),
            *(min(number, 3), number, "", "", code),
        )
        connection.execute(_EVENT, values)


def _lines(connection: sqlite3.Connection, now: float) -> None:
    """A shutdown that is over, and a white list that a network has now."""
    began = now - 3 * DAY
    for id_, kind, asn, state, at, ended in (
        ("5d0000000001", "shutdown", 29355, "ended", began, began + 4 * HOUR),
        ("5d0000000002", "whitelist", 48503, "confirmed", now - 5 * HOUR, None),
        ("5d0000000003", "shutdown", 0, "withdrawn", began, began + HOUR),
    ):
        connection.execute(
            _EVENT,
            (
                *(id_, kind, "", asn, state, at - 300, at, ended and ended - 300, ended),
                *(now, now, at + 600, at, at + 600, "access.foreign_cut", "", 2, 2),
                *("maintenance of the collector" if state == "withdrawn" else "", "", ""),
            ),
        )
