-- Counts by day, which pages for people read: years of a site are some thousand rows. Like those by
-- hour they are never deleted.
CREATE TABLE daily (
  target TEXT NOT NULL,
  day INTEGER NOT NULL,
  country TEXT NOT NULL,
  asn INTEGER NOT NULL,
  experiment TEXT NOT NULL,
  outcome TEXT NOT NULL,
  n INTEGER NOT NULL,
  PRIMARY KEY (target, day, country, asn, experiment, outcome)
);
INSERT INTO daily (target, day, country, asn, experiment, outcome, n)
SELECT target, hour / 24, country, asn, experiment, outcome, CAST(SUM(n) AS INTEGER) FROM hourly
GROUP BY target, hour / 24, country, asn, experiment, outcome;

-- What is interfered with on a network; what is intercepted of a site; the rates of a site.
CREATE INDEX daily_interfered ON daily (asn, day, target)
WHERE outcome IN ('blocked', 'intercepted', 'throttled');
CREATE INDEX measurement_intercepted ON measurement (target, seq) WHERE outcome = 'intercepted';
CREATE INDEX series_target ON series (target, at);
