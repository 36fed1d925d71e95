-- The tables of a collector, as the first release had them; stores from before versions had them too,
-- hence IF NOT EXISTS. Portable: the same text makes them in SQLite and, with INTEGER read as BIGINT, in
-- PostgreSQL. Instants are Unix time in seconds; an unknown country is 'ZZ', an unknown ASN is 0, an
-- unknown region is ''. No table has a column for addresses of probes.

CREATE TABLE IF NOT EXISTS meta (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
);

-- Enrolled keys. When each was last seen, to the hour, and on which network.
CREATE TABLE IF NOT EXISTS probe (
  key_id TEXT PRIMARY KEY,
  public_key BYTEA NOT NULL,
  role TEXT NOT NULL,
  enrolled_at INTEGER NOT NULL,
  seen_at INTEGER NOT NULL,
  country TEXT NOT NULL,
  asn INTEGER NOT NULL,
  region TEXT NOT NULL
);

-- Invites by the SHA-256 of their text, so that a reader of this table cannot use them.
CREATE TABLE IF NOT EXISTS invite (
  hash TEXT PRIMARY KEY,
  role TEXT NOT NULL,
  uses INTEGER NOT NULL,
  made_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
);

-- One row per record, with the columns of frequent queries. `claim` is the outcome by the probe,
-- `outcome` that by the collector.
CREATE TABLE IF NOT EXISTS measurement (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL,
  key_id TEXT NOT NULL,
  run TEXT NOT NULL,
  role TEXT NOT NULL,
  lab INTEGER NOT NULL,
  experiment TEXT NOT NULL,
  input TEXT NOT NULL,
  target TEXT NOT NULL,
  category TEXT NOT NULL,
  at DOUBLE PRECISION NOT NULL,
  started_at TEXT NOT NULL,
  received_at INTEGER NOT NULL,
  country TEXT NOT NULL,
  asn INTEGER NOT NULL,
  region TEXT NOT NULL,
  network TEXT NOT NULL,
  version TEXT NOT NULL,
  peer_agrees INTEGER,
  claim TEXT NOT NULL,
  claim_mechanisms TEXT NOT NULL,
  outcome TEXT NOT NULL,
  mechanisms TEXT NOT NULL,
  stage TEXT NOT NULL,
  confidence DOUBLE PRECISION NOT NULL,
  verdict TEXT NOT NULL,
  ruleset TEXT NOT NULL,
  authority TEXT NOT NULL,
  timings TEXT NOT NULL,
  UNIQUE (id, key_id)
);
CREATE INDEX IF NOT EXISTS measurement_key ON measurement (key_id);
CREATE INDEX IF NOT EXISTS measurement_target ON measurement (target, seq);

-- The record itself without its certificates, zlib over JSON.
CREATE TABLE IF NOT EXISTS raw (
  seq INTEGER PRIMARY KEY,
  body BYTEA NOT NULL
);

-- Certificates, each once, and the records in which they were served.
CREATE TABLE IF NOT EXISTS certificate (
  sha256 TEXT PRIMARY KEY,
  der BYTEA NOT NULL
);
CREATE TABLE IF NOT EXISTS served (
  seq INTEGER NOT NULL,
  sha256 TEXT NOT NULL,
  PRIMARY KEY (seq, sha256)
);
CREATE INDEX IF NOT EXISTS served_certificate ON served (sha256);

-- Chains that no browser would trust, by record and name: place 0 is the leaf.
CREATE TABLE IF NOT EXISTS forged (
  seq INTEGER NOT NULL,
  name TEXT NOT NULL,
  leaf TEXT NOT NULL,
  place INTEGER NOT NULL,
  sha256 TEXT NOT NULL,
  PRIMARY KEY (seq, name, leaf, place)
);
CREATE INDEX IF NOT EXISTS forged_certificate ON forged (sha256);

-- Observations of controls, trimmed to the compared steps: zlib over JSON.
CREATE TABLE IF NOT EXISTS observation (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL,
  key_id TEXT NOT NULL,
  input TEXT NOT NULL,
  at DOUBLE PRECISION NOT NULL,
  body BYTEA NOT NULL
);
CREATE INDEX IF NOT EXISTS observation_input ON observation (input, at);
CREATE INDEX IF NOT EXISTS observation_at ON observation (at);

-- Rollups, written in the same transaction as the records. Records of controls are in none of them.

-- The newest verdict of each key on each input; the source of the gauges.
CREATE TABLE IF NOT EXISTS newest (
  key_id TEXT NOT NULL,
  input TEXT NOT NULL,
  experiment TEXT NOT NULL,
  id TEXT NOT NULL,
  run TEXT NOT NULL,
  at DOUBLE PRECISION NOT NULL,
  target TEXT NOT NULL,
  country TEXT NOT NULL,
  asn INTEGER NOT NULL,
  outcome TEXT NOT NULL,
  mechanisms TEXT NOT NULL,
  stage TEXT NOT NULL,
  severity INTEGER NOT NULL,
  authority TEXT NOT NULL,
  foreign_alive DOUBLE PRECISION,
  domestic_alive DOUBLE PRECISION,
  rate_target DOUBLE PRECISION,
  rate_reference DOUBLE PRECISION,
  PRIMARY KEY (key_id, input, experiment)
);
CREATE INDEX IF NOT EXISTS newest_at ON newest (at);

-- One vote per key, listed target and hour (the newest in that hour); the source of events.
CREATE TABLE IF NOT EXISTS vote (
  hour INTEGER NOT NULL,
  key_id TEXT NOT NULL,
  target TEXT NOT NULL,
  experiment TEXT NOT NULL,
  id TEXT NOT NULL,
  at DOUBLE PRECISION NOT NULL,
  country TEXT NOT NULL,
  asn INTEGER NOT NULL,
  outcome TEXT NOT NULL,
  stage TEXT NOT NULL,
  PRIMARY KEY (hour, key_id, target, experiment)
);
CREATE INDEX IF NOT EXISTS vote_key ON vote (key_id);

-- Counts that are never deleted: by hour for history, in total for counters.
CREATE TABLE IF NOT EXISTS hourly (
  hour INTEGER NOT NULL,
  experiment TEXT NOT NULL,
  target TEXT NOT NULL,
  country TEXT NOT NULL,
  asn INTEGER NOT NULL,
  outcome TEXT NOT NULL,
  n INTEGER NOT NULL,
  PRIMARY KEY (hour, experiment, target, country, asn, outcome)
);
CREATE TABLE IF NOT EXISTS total (
  experiment TEXT NOT NULL,
  outcome TEXT NOT NULL,
  country TEXT NOT NULL,
  asn INTEGER NOT NULL,
  n INTEGER NOT NULL,
  PRIMARY KEY (experiment, outcome, country, asn)
);
CREATE TABLE IF NOT EXISTS timing (
  country TEXT NOT NULL,
  asn INTEGER NOT NULL,
  op TEXT NOT NULL,
  bucket INTEGER NOT NULL,
  n INTEGER NOT NULL,
  seconds DOUBLE PRECISION NOT NULL,
  PRIMARY KEY (country, asn, op, bucket)
);

-- Leases, for tasks that only one of several collectors may do.
CREATE TABLE IF NOT EXISTS lease (
  name TEXT PRIMARY KEY,
  holder TEXT NOT NULL,
  until DOUBLE PRECISION NOT NULL
);

-- The data for detection over time; both tables are kept for weeks only.

-- Heartbeats: five-minute slots of an hour as bits. `heard`: a heartbeat came. The other two were
-- reported afterwards: `cut`, on and nothing abroad answered; `missed`, everything but the collector
-- answered. The key '' is the collector itself: while it was down, missing heartbeats mean nothing.
CREATE TABLE IF NOT EXISTS beat (
  key_id TEXT NOT NULL,
  hour INTEGER NOT NULL,
  country TEXT NOT NULL,
  asn INTEGER NOT NULL,
  heard INTEGER NOT NULL,
  cut INTEGER NOT NULL,
  missed INTEGER NOT NULL,
  PRIMARY KEY (key_id, hour, country, asn)
);
CREATE INDEX IF NOT EXISTS beat_hour ON beat (hour);

-- One row per measurement of speed, throttling or connectivity.
CREATE TABLE IF NOT EXISTS series (
  key_id TEXT NOT NULL,
  id TEXT NOT NULL,
  experiment TEXT NOT NULL,
  target TEXT NOT NULL,
  at DOUBLE PRECISION NOT NULL,
  country TEXT NOT NULL,
  asn INTEGER NOT NULL,
  outcome TEXT NOT NULL,
  mechanisms TEXT NOT NULL,
  rate_target DOUBLE PRECISION,
  rate_reference DOUBLE PRECISION,
  foreign_alive DOUBLE PRECISION,
  domestic_alive DOUBLE PRECISION,
  PRIMARY KEY (key_id, id)
);
CREATE INDEX IF NOT EXISTS series_at ON series (at);
