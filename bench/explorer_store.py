"""The store that `python -m bench explorer` asks: a million measurements, in SQLite or PostgreSQL.

60 probes on 7 networks, 800 sites, 30 days, 5,000 events, rates, heartbeats, and forged chains.
"""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import asyncpg

from collector.admin import postgres_copy
from tests.collector import large_store

EVENTS = 5_000
_RATES = """
INSERT INTO series (key_id, id, experiment, target, at, country, asn, outcome, mechanisms,
  rate_target, rate_reference)
SELECT key_id, id, 'throttle', target, at, country, asn, 'ok', '',
  100000 + CAST(SUBSTR(id, 3) AS INTEGER) % 99999,
  250000
FROM measurement WHERE CAST(SUBSTR(id, 3) AS INTEGER) % 40 = 0 OR target = 'target7.example'
"""
# Some events are cuts, some are a wave, one name in twenty of a site is intercepted.
_EVIDENCE = """
UPDATE event SET wave = 'aa' WHERE id LIKE '000003%';
UPDATE event SET kind = 'shutdown', sources = 'silence spool', target = '', state = 'ended',
  ended_after = began_by + 9000, ended_by = began_by + 9600 WHERE id LIKE '%00';
INSERT INTO event_revision SELECT id, 1, began_by, 'opened as confirmed' FROM event;
INSERT INTO event_revision SELECT id, 2, began_by + 9, 'also by tls.reset' FROM event;
UPDATE event SET revision = 2, confirmed_at = began_by;
UPDATE event SET wave = '' WHERE target = '';
INSERT INTO beat SELECT p.key_id, h.hour, p.country, p.asn, 4095, 15, 0
  FROM probe p, (SELECT DISTINCT hour FROM hourly) h;
UPDATE measurement SET outcome = 'intercepted', mechanisms = 'tls.mitm'
  WHERE CAST(SUBSTR(id, 3) AS INTEGER) % 500 = 0;
INSERT INTO forged SELECT seq, target, 'leaf' || target, 0, 'leaf' || target
  FROM measurement WHERE outcome = 'intercepted';
INSERT INTO forged SELECT seq, target, 'leaf' || target, 1, 'signer' || asn
  FROM measurement WHERE outcome = 'intercepted';
"""
_COUNTED = "INSERT INTO total SELECT 'web', 'ok', 'KZ', 1, COUNT(*) FROM measurement"


def make(folder: Path, rows: int) -> None:
    """Make the store as a file, and the list of its sites."""
    file = folder / "store.sqlite3"
    large_store.make(file, rows=rows, events=EVENTS)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(_RATES)
        connection.execute(_COUNTED)
        connection.execute("UPDATE probe SET way = 'invite'")
        connection.executescript(_EVIDENCE)
    sites = "".join(f"https://target{n}.example/,NEWS\n" for n in range(large_store.TARGETS))
    (folder / "targets.csv").write_text(f"url,category_code\n{sites}")


def copy(folder: Path, url: str) -> None:
    """Put the same rows into PostgreSQL."""
    asyncio.run(_copy(folder / "store.sqlite3", url))


async def _copy(file: Path, url: str) -> None:
    await postgres_copy.load(url, file, replace=True)
    connection = await asyncpg.connect(url)
    try:
        # The server does this itself within a minute; the first pages would not wait for it.
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()
