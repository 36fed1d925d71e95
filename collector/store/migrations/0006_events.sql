-- Events with their identity, and the looks that they are made of.

-- A vote is a look: what it saw, beside what it says.
ALTER TABLE vote ADD COLUMN mechanisms TEXT NOT NULL DEFAULT '';
ALTER TABLE vote ADD COLUMN authority TEXT NOT NULL DEFAULT '';
ALTER TABLE vote ADD COLUMN confidence DOUBLE PRECISION NOT NULL DEFAULT 0.9;
CREATE INDEX vote_place ON vote (target, country, asn, at);
UPDATE vote SET (mechanisms, authority, confidence) = (
  SELECT m.mechanisms, m.authority, m.confidence FROM measurement m
  WHERE m.id = vote.id AND m.key_id = vote.key_id
) WHERE outcome IN ('blocked', 'intercepted', 'throttled') AND EXISTS (
  SELECT 1 FROM measurement m WHERE m.id = vote.id AND m.key_id = vote.key_id
);
-- What could not tell is no look; the newest one of an hour that could is what counts.
DELETE FROM vote WHERE outcome NOT IN ('blocked', 'intercepted', 'throttled', 'ok', 'refused');

-- The targets and networks on which interference was seen; an empty target is the line. Their events
-- are due while `looks` is not `done`. `complete` is since when no look was erased.
CREATE TABLE event_place (
  target TEXT NOT NULL,
  country TEXT NOT NULL,
  asn INTEGER NOT NULL,
  looks INTEGER NOT NULL,
  done INTEGER NOT NULL,
  complete DOUBLE PRECISION NOT NULL,
  PRIMARY KEY (target, country, asn)
);
INSERT INTO event_place (target, country, asn, looks, done, complete)
SELECT target, country, asn, 1, 0, 0 FROM vote
WHERE outcome IN ('blocked', 'intercepted', 'throttled') GROUP BY target, country, asn;
INSERT INTO event_place (target, country, asn, looks, done, complete)
SELECT '', country, asn, 1, 0, 0 FROM series
WHERE experiment = 'connectivity' AND outcome = 'blocked' GROUP BY country, asn;

-- Events are never deleted. `mechanisms`, `evidence` and `sources` are separated by blanks.
CREATE TABLE event (
  id TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  target TEXT NOT NULL,
  country TEXT NOT NULL,
  asn INTEGER NOT NULL,
  state TEXT NOT NULL,
  began_after DOUBLE PRECISION,
  began_by DOUBLE PRECISION NOT NULL,
  ended_after DOUBLE PRECISION,
  ended_by DOUBLE PRECISION,
  last_seen_at DOUBLE PRECISION NOT NULL,
  last_look_at DOUBLE PRECISION NOT NULL,
  confirmed_at DOUBLE PRECISION,
  opened_at DOUBLE PRECISION NOT NULL,
  published_at DOUBLE PRECISION,
  mechanisms TEXT NOT NULL,
  authority TEXT NOT NULL,
  agree INTEGER NOT NULL,
  able INTEGER NOT NULL,
  confidence DOUBLE PRECISION NOT NULL,
  evidence TEXT NOT NULL,
  sources TEXT NOT NULL,
  reason TEXT NOT NULL,
  wave TEXT NOT NULL,
  revision INTEGER NOT NULL,
  category TEXT NOT NULL
);
CREATE INDEX event_where ON event (target, country, asn);
CREATE INDEX event_began ON event (began_by, id);
CREATE INDEX event_wave ON event (wave);

CREATE TABLE event_revision (
  event TEXT NOT NULL,
  number INTEGER NOT NULL,
  at DOUBLE PRECISION NOT NULL,
  what TEXT NOT NULL,
  PRIMARY KEY (event, number)
);
