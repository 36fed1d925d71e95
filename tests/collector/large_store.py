"""A store of a large collector, made by statements: months of records, votes, counts and events."""

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from collector.store import migrate_store, open_store

ROWS, EVENTS = 200_000, 5_000
PROBES, NETWORKS, TARGETS, DAYS = 60, 7, 800, 30

# `i` is the number of a record; primes spread the probes, targets and outcomes.
_NUMBERS = """
WITH RECURSIVE number (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM number WHERE i + 1 < {n}),
look AS (
  SELECT i, i % {probes} AS probe, 'target' || (i * 7 % {targets}) || '.example' AS target,
    CASE i % 11 WHEN 3 THEN 'blocked' WHEN 5 THEN 'inconclusive' ELSE 'ok' END AS outcome,
    {now} - ({n} - 1 - i) * {step} AS at
  FROM number
)
"""
_PROBE = """
INSERT INTO probe (key_id, public_key, role, enrolled_at, seen_at, country, asn, region)
SELECT 'key' || probe, x'00', 'probe', 0, {now}, 'KZ', 1 + probe % {networks}, 'KZ-75'
FROM look GROUP BY probe
"""
_MEASUREMENT = """
INSERT INTO measurement (seq, id, key_id, run, role, lab, experiment, input, target, category, at,
  started_at, received_at, country, asn, region, network, version, claim, claim_mechanisms, outcome,
  mechanisms, stage, confidence, verdict, ruleset, authority, timings, shuffle)
SELECT CAST(at * 1000000 AS INTEGER) * 1024, 'id' || i, 'key' || probe, 'run' || (i / 60), 'probe',
  0, 'web', 'https://' || target || '/', target, 'NEWS', at,
  strftime('%Y-%m-%dT%H:%M:%fZ', at, 'unixepoch'), CAST(at AS INTEGER), 'KZ',
  1 + probe % {networks}, 'KZ-75', 'A network', '0.1.0', outcome, '', outcome,
  CASE outcome WHEN 'blocked' THEN 'tls.timeout' ELSE '' END, 'confirmed', 0.9, '{{}}', '1', '', '',
  i * 7919 % 1000003
FROM look
"""
_VOTE = """
INSERT OR IGNORE INTO vote (hour, key_id, target, experiment, id, at, country, asn, outcome, stage)
SELECT CAST(at / 3600 AS INTEGER), 'key' || probe, target, 'web', 'id' || i, at, 'KZ',
  1 + probe % {networks}, outcome, 'confirmed' FROM look WHERE outcome <> 'inconclusive'
"""
_NEWEST = """
INSERT OR REPLACE INTO newest (key_id, input, experiment, id, run, at, target, country, asn,
  outcome, mechanisms, stage, severity, authority)
SELECT 'key' || probe, 'https://' || target || '/', 'web', 'id' || i, 'run', at, target, 'KZ',
  1 + probe % {networks}, outcome, '', 'confirmed', 1, '' FROM look
"""
_HOURLY = """
INSERT INTO hourly (hour, experiment, target, country, asn, outcome, n)
SELECT CAST(at / 3600 AS INTEGER), 'web', target, 'KZ', 1 + probe % {networks}, outcome, COUNT(*)
FROM look GROUP BY 1, 3, 5, 6
"""
# The conduct of keys is up to date, as it is in a collector that has run for so long.
_CONDUCT = """
INSERT OR IGNORE INTO conduct (key_id, day, voted, compared, agreed)
SELECT 'key' || probe, CAST(at / 86400 AS INTEGER), 10, 10, 10 FROM look
"""
_DAILY = """
INSERT INTO daily (target, day, country, asn, experiment, outcome, n)
SELECT target, CAST(at / 86400 AS INTEGER), 'KZ', 1 + probe % {networks}, 'web', outcome, COUNT(*)
FROM look GROUP BY 1, 2, 4, 6
"""
_EVENT = """
INSERT INTO event (id, kind, target, country, asn, state, began_after, began_by, last_seen_at,
  last_look_at, opened_at, mechanisms, authority, agree, able, confidence, evidence, sources,
  reason, wave, revision, category)
SELECT printf('%08x', i), 'blocking', target, 'KZ', 1 + probe % {networks}, 'confirmed', at - 60,
  at, at, at, at, 'tls.timeout', '', 3, 3, 0.9, 'id' || i, 'looks', '', '', 1, 'NEWS'
FROM look
"""


def make(file: Path, *, rows: int = ROWS, events: int = EVENTS) -> None:
    """Make the store; events beyond the number of rows are at the same times."""
    asyncio.run(_empty(file))
    now = int(time.time()) - 60
    with closing(sqlite3.connect(file)) as connection, connection:
        for statement in (_PROBE, _MEASUREMENT, _VOTE, _NEWEST, _HOURLY, _DAILY, _CONDUCT):
            _run(connection, statement, rows, now)
        _run(connection, _EVENT, events, now)


async def _empty(file: Path) -> None:
    await migrate_store(f"sqlite:///{file}")
    await (await open_store(f"sqlite:///{file}")).close()


def _run(connection: sqlite3.Connection, statement: str, n: int, now: int) -> None:
    values = {"n": n, "now": now, "probes": PROBES, "targets": TARGETS, "networks": NETWORKS}
    values |= {"step": DAYS * 86_400 // n}
    # A common table stands before INSERT in SQLite.
    connection.execute((_NUMBERS + statement).format(**values))
