-- Series of other observatories about lines, which the operator imported: shown beside cuts on a
-- reader's wish, and read by nothing else.
CREATE TABLE outside_series (
  id TEXT PRIMARY KEY,
  source TEXT NOT NULL,
  signal TEXT NOT NULL,
  country TEXT NOT NULL,
  asn BIGINT NOT NULL,
  licence TEXT NOT NULL,
  step INTEGER NOT NULL
);
CREATE INDEX outside_series_place ON outside_series (country, asn, source);
CREATE TABLE outside_point (
  series TEXT NOT NULL,
  at INTEGER NOT NULL,
  value DOUBLE PRECISION NOT NULL,
  PRIMARY KEY (series, at)
);
CREATE INDEX outside_point_at ON outside_point (at);
