-- The order in which the public is told of records and events: by the hour, and at random within it.
-- By arrival, a reader with rows of his own would see between which of them a coarse row came. The
-- hour is the whole part of the quotient, which SQLite's CAST gives and PostgreSQL's rounds.

ALTER TABLE measurement ADD COLUMN shuffle INTEGER NOT NULL DEFAULT 0;
-- Records that are there already: their numbers, mixed, and what tells numbers with the same mix apart.
UPDATE measurement SET shuffle =
  (seq % 2147483629) * (seq % 2147483629) % 2147483629 * 2147483648 + seq % 2147483648;
CREATE INDEX measurement_shown ON measurement (
  (((CAST(at AS INTEGER) - CASE WHEN CAST(at AS INTEGER) > at THEN 1 ELSE 0 END) / 3600)), shuffle
);
CREATE INDEX event_shown ON event (
  (((CAST(began_by AS INTEGER)
    - CASE WHEN CAST(began_by AS INTEGER) > began_by THEN 1 ELSE 0 END) / 3600)),
  id
);

-- The newest changes of events, for feeds.
CREATE INDEX event_revision_at ON event_revision (at);
