-- name: newest_prior
SELECT outcome, run, at FROM newest
WHERE key_id = :key_id AND input = :input AND experiment = :experiment

-- name: newest_put
INSERT INTO newest (key_id, input, experiment, id, run, at, target, country, asn, outcome,
  mechanisms, stage, severity, authority, foreign_alive, domestic_alive, rate_target,
  rate_reference)
VALUES (:key_id, :input, :experiment, :id, :run, :at, :target, :country, :asn, :outcome,
  :mechanisms, :stage, :severity, :authority, :foreign_alive, :domestic_alive, :rate_target,
  :rate_reference)
ON CONFLICT (key_id, input, experiment) DO UPDATE SET
  id = excluded.id, run = excluded.run, at = excluded.at, target = excluded.target,
  country = excluded.country, asn = excluded.asn, outcome = excluded.outcome,
  mechanisms = excluded.mechanisms, stage = excluded.stage, severity = excluded.severity,
  authority = excluded.authority, foreign_alive = excluded.foreign_alive,
  domestic_alive = excluded.domestic_alive, rate_target = excluded.rate_target,
  rate_reference = excluded.rate_reference
WHERE excluded.at >= newest.at AND (
  -- What could not tell is missing data: for a day it takes the place of nothing that could.
  excluded.outcome IN ('blocked', 'intercepted', 'throttled', 'ok', 'refused')
  OR newest.outcome NOT IN ('blocked', 'intercepted', 'throttled', 'ok', 'refused')
  OR newest.at < excluded.at - 86400
  OR excluded.foreign_alive IS NOT NULL OR excluded.domestic_alive IS NOT NULL
  OR excluded.rate_target IS NOT NULL
)

-- name: newest_judge
UPDATE newest SET outcome = :outcome, mechanisms = :mechanisms, stage = :stage,
  severity = :severity, authority = :authority
WHERE key_id = :key_id AND input = :input AND experiment = :experiment AND id = :id

-- name: vote_put
INSERT INTO vote (hour, key_id, target, experiment, id, at, country, asn, outcome, stage,
  mechanisms, authority, confidence)
VALUES (:hour, :key_id, :target, :experiment, :id, :at, :country, :asn, :outcome, :stage,
  :mechanisms, :authority, :confidence)
ON CONFLICT (hour, key_id, target, experiment) DO UPDATE SET
  id = excluded.id, at = excluded.at, country = excluded.country, asn = excluded.asn,
  outcome = excluded.outcome, stage = excluded.stage, mechanisms = excluded.mechanisms,
  authority = excluded.authority, confidence = excluded.confidence
WHERE excluded.at >= vote.at

-- name: vote_judge
UPDATE vote SET outcome = :outcome, stage = :stage, mechanisms = :mechanisms,
  authority = :authority, confidence = :confidence
WHERE hour = :hour AND key_id = :key_id AND target = :target AND experiment = :experiment
  AND id = :id

-- name: hourly_add
INSERT INTO hourly (hour, experiment, target, country, asn, outcome, n)
VALUES (:hour, :experiment, :target, :country, :asn, :outcome, :n)
ON CONFLICT (hour, experiment, target, country, asn, outcome) DO UPDATE SET n = hourly.n + excluded.n

-- name: hourly_sweep
DELETE FROM hourly WHERE n <= 0

-- name: hourly_page
-- The cursor is the primary key of the last row of the page before.
SELECT hour, experiment, target, country, asn, outcome, n FROM hourly
WHERE hour >= :since AND hour < :until
  AND (hour, experiment, target, country, asn, outcome) >
    (:hour, CAST(:experiment_after AS TEXT), CAST(:target_after AS TEXT),
     CAST(:country_after AS TEXT), :asn_after, CAST(:outcome_after AS TEXT))
  AND (CAST(:country AS TEXT) = '' OR country = :country)
  AND (CAST(:asn AS INTEGER) < 0 OR asn = :asn)
  AND (CAST(:outcome AS TEXT) = '' OR outcome = :outcome)
  AND (CAST(:experiment AS TEXT) = '' OR experiment = :experiment)
ORDER BY hour, experiment, target, country, asn, outcome LIMIT :limit

-- name: hourly_page_of
-- The same for one target, by an index of its own.
SELECT hour, experiment, target, country, asn, outcome, n FROM hourly
WHERE target = :target AND hour >= :since AND hour < :until
  AND (hour, experiment, target, country, asn, outcome) >
    (:hour, CAST(:experiment_after AS TEXT), CAST(:target_after AS TEXT),
     CAST(:country_after AS TEXT), :asn_after, CAST(:outcome_after AS TEXT))
  AND (CAST(:country AS TEXT) = '' OR country = :country)
  AND (CAST(:asn AS INTEGER) < 0 OR asn = :asn)
  AND (CAST(:outcome AS TEXT) = '' OR outcome = :outcome)
  AND (CAST(:experiment AS TEXT) = '' OR experiment = :experiment)
ORDER BY hour, experiment, target, country, asn, outcome LIMIT :limit

-- name: total_add
INSERT INTO total (experiment, outcome, country, asn, n)
VALUES (:experiment, :outcome, :country, :asn, :n)
ON CONFLICT (experiment, outcome, country, asn) DO UPDATE SET n = total.n + excluded.n

-- name: total_sweep
DELETE FROM total WHERE n <= 0

-- name: timing_add
INSERT INTO timing (country, asn, op, bucket, n, seconds)
VALUES (:country, :asn, :op, :bucket, :n, :seconds)
ON CONFLICT (country, asn, op, bucket) DO UPDATE SET
  n = timing.n + excluded.n, seconds = timing.seconds + excluded.seconds

-- name: timing_sweep
DELETE FROM timing WHERE n <= 0

-- name: current_votes
-- One vote per key and target: of its newest verdicts by input and experiment the most severe, then the newest.
WITH ranked AS (
  SELECT n.key_id, n.target, n.country, n.asn, n.outcome, n.mechanisms, n.authority, n.stage, n.at,
    ROW_NUMBER() OVER (PARTITION BY n.key_id, n.target ORDER BY n.severity DESC, n.at DESC) AS nth
  FROM newest n
  WHERE n.at >= :since AND n.outcome <> 'none'
    AND NOT EXISTS (SELECT 1 FROM exclusion e WHERE e.key_id = n.key_id AND n.at >= e.since)
)
SELECT key_id, target, country, asn, outcome, mechanisms, authority, stage, at
FROM ranked WHERE nth = 1

-- name: current_anchors
-- The newest measurement of anchors of each key, from a run or from a connectivity record.
SELECT key_id, country, asn, foreign_alive, domestic_alive FROM (
  SELECT n.key_id, n.country, n.asn, n.foreign_alive, n.domestic_alive,
    ROW_NUMBER() OVER (PARTITION BY n.key_id ORDER BY n.at DESC, n.experiment) AS nth
  FROM newest n
  WHERE n.at >= :since AND (n.foreign_alive IS NOT NULL OR n.domestic_alive IS NOT NULL)
    AND NOT EXISTS (SELECT 1 FROM exclusion e WHERE e.key_id = n.key_id AND n.at >= e.since)
) AS measured WHERE nth = 1

-- name: current_rates
-- One rate per key and target, the newest.
SELECT key_id, target, country, asn, rate_target, rate_reference FROM (
  SELECT n.key_id, n.target, n.country, n.asn, n.rate_target, n.rate_reference,
    ROW_NUMBER() OVER (PARTITION BY n.key_id, n.target ORDER BY n.at DESC, n.input) AS nth
  FROM newest n
  WHERE n.at >= :since AND (n.rate_target IS NOT NULL OR n.rate_reference IS NOT NULL)
    AND NOT EXISTS (SELECT 1 FROM exclusion e WHERE e.key_id = n.key_id AND n.at >= e.since)
) AS measured WHERE nth = 1

-- name: active_probes
SELECT country, asn, region, COUNT(*), MAX(seen_at) FROM probe
WHERE role = 'probe' AND seen_at >= :since GROUP BY country, asn, region

-- name: totals
SELECT experiment, outcome, country, asn, n FROM total

-- name: timings
SELECT country, asn, op, bucket, n, seconds FROM timing
