-- Acknowledged batches whose records are not judged yet, in the order of their arrival. A record's
-- row here is deleted in the transaction that stores its judged row, so none is judged twice.

-- `context` is what the collector knew of the batch besides its records, as JSON. A worker that judges
-- a batch holds it until an instant; `tries` counts how often it was taken. Bodies have a table of
-- their own, so that leases do not rewrite them.
CREATE TABLE IF NOT EXISTS batch (
  seq INTEGER PRIMARY KEY,
  key_id TEXT NOT NULL,
  role TEXT NOT NULL,
  received_at DOUBLE PRECISION NOT NULL,
  records INTEGER NOT NULL,
  context TEXT NOT NULL,
  holder TEXT NOT NULL,
  until DOUBLE PRECISION NOT NULL,
  tries INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS batch_key ON batch (key_id);
CREATE TABLE IF NOT EXISTS batch_body (
  seq INTEGER PRIMARY KEY,
  body BYTEA NOT NULL
);

-- The records of these batches: `seq` is that of the batch plus the line. `tries` counts how often a
-- worker began with this record alone, after the batch had ended a worker.
CREATE TABLE IF NOT EXISTS waiting (
  seq INTEGER PRIMARY KEY,
  key_id TEXT NOT NULL,
  id TEXT NOT NULL,
  tries INTEGER NOT NULL,
  UNIQUE (key_id, id)
);

-- Why a record was stored without being judged: time, memory, crash, bug, quota or unreadable; empty
-- when it was judged.
ALTER TABLE measurement ADD COLUMN unjudged TEXT NOT NULL DEFAULT '';
