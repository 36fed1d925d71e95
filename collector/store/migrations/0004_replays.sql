-- Signed requests that were carried out, by a hash of what was signed and its time. A row outlives the
-- erasure of its key: it names no key, and an erasure must not be repeated either.
CREATE TABLE request_seen (
  mark BYTEA PRIMARY KEY,
  created INTEGER NOT NULL
);
CREATE INDEX request_seen_created ON request_seen (created);
