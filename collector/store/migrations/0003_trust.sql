-- Where keys come from, where they were shown to be, and what is set aside.

-- `way`: how it was enrolled: by an invite, openly, on the collector's own machine, or before this
-- was noted. `branch`: the invite. `origin`: a keyed hash of the /24 or /48 that it was enrolled
-- from; it is erased with the key, and the hash's own key is not in this store.
ALTER TABLE probe ADD COLUMN way TEXT NOT NULL DEFAULT 'before';
ALTER TABLE probe ADD COLUMN branch TEXT NOT NULL DEFAULT '';
ALTER TABLE probe ADD COLUMN origin TEXT NOT NULL DEFAULT '';

-- The network that a record claims, beside that of the connection which brought it; whether it has
-- a vote; and whether it is in the counts (what is excluded is not).
ALTER TABLE measurement ADD COLUMN claimed_country TEXT NOT NULL DEFAULT 'ZZ';
ALTER TABLE measurement ADD COLUMN claimed_asn INTEGER NOT NULL DEFAULT 0;
ALTER TABLE measurement ADD COLUMN voting INTEGER NOT NULL DEFAULT 1;
ALTER TABLE measurement ADD COLUMN counted INTEGER NOT NULL DEFAULT 1;

-- What an operator imported: sources that have no enrolment.
CREATE TABLE source (
  key_id TEXT PRIMARY KEY
);
INSERT INTO source (key_id)
SELECT DISTINCT m.key_id FROM measurement m
WHERE NOT EXISTS (SELECT 1 FROM probe p WHERE p.key_id = m.key_id);

-- The networks on which a key's connections showed it, for some weeks. `origin` as above.
CREATE TABLE place (
  key_id TEXT NOT NULL,
  country TEXT NOT NULL,
  asn INTEGER NOT NULL,
  origin TEXT NOT NULL,
  first_at INTEGER NOT NULL,
  seen_at INTEGER NOT NULL,
  PRIMARY KEY (key_id, country, asn)
);

-- The number of records of each key by day.
CREATE TABLE looks (
  key_id TEXT NOT NULL,
  day INTEGER NOT NULL,
  n INTEGER NOT NULL,
  PRIMARY KEY (key_id, day)
);

-- How each key's verdicts of a day compare with those of the trusted keys of its networks: targets
-- with a conclusive vote, those on which there was a majority to compare with, and those that agree.
CREATE TABLE conduct (
  key_id TEXT NOT NULL,
  day INTEGER NOT NULL,
  voted INTEGER NOT NULL,
  compared INTEGER NOT NULL,
  agreed INTEGER NOT NULL,
  PRIMARY KEY (key_id, day)
);
CREATE INDEX conduct_day ON conduct (day);

-- What the operator set aside: a key's data since an instant. `subject` is what the operator named;
-- the row with an empty key is the branch itself, for keys that enrol later.
CREATE TABLE exclusion (
  key_id TEXT NOT NULL,
  subject TEXT NOT NULL,
  since DOUBLE PRECISION NOT NULL,
  reason TEXT NOT NULL,
  made_at INTEGER NOT NULL,
  PRIMARY KEY (key_id, subject)
);
