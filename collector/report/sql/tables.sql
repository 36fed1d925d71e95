-- The tables of a report, out of `look`: all rows of this and the previous time.

-- name: views
-- What counts: conclusive or not, of trusted probes, on listed sites.
CREATE VIEW every_seen AS
SELECT *, CAST(floor(moment / 86400) AS BIGINT) AS day,
  outcome IN ('blocked', 'intercepted', 'throttled') AS bad,
  outcome IN ('blocked', 'intercepted', 'throttled', 'ok', 'refused') AS could_tell
FROM look WHERE votes AND outcome <> 'none' AND target <> 'unlisted';
CREATE VIEW seen AS SELECT * FROM every_seen WHERE in_period;

-- name: totals
SELECT count(*) AS records,
  count(*) FILTER (votes) AS counted,
  count(*) FILTER (NOT votes) AS not_counted,
  count(*) FILTER (coarse) AS coarse,
  count(*) FILTER (lab) AS lab,
  count(DISTINCT probe) FILTER (votes) AS probes,
  count(DISTINCT asn) FILTER (votes) AS networks,
  count(DISTINCT target) FILTER (votes AND target <> 'unlisted') AS sites
FROM look WHERE in_period = $now AND outcome <> 'none';

-- name: outcomes
SELECT outcome, count(*) FILTER (in_period), count(*) FILTER (NOT in_period)
FROM every_seen GROUP BY outcome ORDER BY outcome;

-- name: places
SELECT target, max(category) AS category, asn,
  count(*) AS measurements,
  count(*) FILTER (could_tell) AS conclusive,
  count(*) FILTER (bad) AS interfered,
  count(*) FILTER (outcome = 'blocked') AS blocked,
  count(*) FILTER (outcome = 'intercepted') AS intercepted,
  count(*) FILTER (outcome = 'throttled') AS throttled,
  count(*) FILTER (outcome IN ('ok', 'refused')) AS fine,
  count(*) FILTER (outcome = 'down') AS down,
  count(*) FILTER (outcome = 'inconclusive') AS inconclusive,
  count(DISTINCT probe) FILTER (could_tell) AS probes,
  count(DISTINCT probe) FILTER (bad) AS probes_interfered,
  min(moment) FILTER (bad) AS first_seen,
  max(moment) FILTER (bad) AS last_seen,
  bool_or(coarse) AS coarse
FROM every_seen WHERE in_period = $now GROUP BY target, asn ORDER BY target, asn;

-- name: mechanisms
SELECT target, asn, mechanism, count(*) AS measurements, count(DISTINCT probe) AS probes
FROM (
  SELECT target, asn, probe, unnest(string_split(mechanisms, ' ')) AS mechanism
  FROM every_seen WHERE in_period = $now AND bad
) WHERE mechanism <> '' GROUP BY ALL ORDER BY target, asn, mechanism;

-- name: daily
SELECT day, target, max(category) AS category, asn, outcome, count(*) AS measurements,
  count(DISTINCT probe) AS probes
FROM seen GROUP BY day, target, asn, outcome ORDER BY day, target, asn, outcome;

-- name: bad_days
-- The days at the places where interference was seen, for calendars.
SELECT target, asn, day, outcome, count(*)
FROM seen SEMI JOIN (SELECT DISTINCT target, asn FROM seen WHERE bad) USING (target, asn)
GROUP BY target, asn, day, outcome ORDER BY target, asn, day, outcome;

-- name: days
SELECT day, outcome, count(*) FROM seen GROUP BY day, outcome ORDER BY day, outcome;

-- name: coverage
SELECT CAST(floor(moment / 86400) AS BIGINT) AS day, asn, count(*) AS measurements,
  count(DISTINCT probe) AS probes,
  count(DISTINCT target) FILTER (target <> 'unlisted') AS sites,
  bool_or(coarse) AS coarse
FROM look WHERE in_period AND votes AND outcome <> 'none' GROUP BY 1, 2 ORDER BY 1, 2;

-- name: network_names
-- What probes call a network; text that is not shown where few measure is not in a row.
SELECT asn, max(network) FROM look WHERE votes AND network IS NOT NULL GROUP BY asn ORDER BY asn;

-- name: rates
SELECT target, max(category) AS category, asn, day, count(*) AS measurements,
  count(DISTINCT probe) AS probes,
  count(*) FILTER (outcome = 'throttled') AS throttled,
  median(rate_target) AS rate_target, median(rate_reference) AS rate_reference,
  median(rate_target / rate_reference) FILTER (rate_reference > 0) AS ratio
FROM seen WHERE experiment = 'throttle' AND rate_target IS NOT NULL AND rate_reference IS NOT NULL
GROUP BY target, asn, day ORDER BY target, asn, day;

-- name: rules
SELECT rule, outcome, count(*) AS measurements, count(DISTINCT target) AS sites
FROM seen WHERE rule <> '' GROUP BY rule, outcome ORDER BY measurements DESC, rule, outcome;

-- name: rulesets
SELECT ruleset, count(*) FROM look WHERE in_period AND outcome <> 'none' GROUP BY ruleset ORDER BY ruleset;

-- name: versions
SELECT version, count(*) FROM look WHERE in_period AND outcome <> 'none' GROUP BY version ORDER BY version;
