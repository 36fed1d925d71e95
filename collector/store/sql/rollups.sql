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
WHERE excluded.at >= newest.at

-- name: newest_judge
UPDATE newest SET outcome = :outcome, mechanisms = :mechanisms, stage = :stage,
  severity = :severity, authority = :authority
WHERE key_id = :key_id AND input = :input AND experiment = :experiment AND id = :id

-- name: vote_put
INSERT INTO vote (hour, key_id, target, experiment, id, at, country, asn, outcome, stage)
VALUES (:hour, :key_id, :target, :experiment, :id, :at, :country, :asn, :outcome, :stage)
ON CONFLICT (hour, key_id, target, experiment) DO UPDATE SET
  id = excluded.id, at = excluded.at, country = excluded.country, asn = excluded.asn,
  outcome = excluded.outcome, stage = excluded.stage
WHERE excluded.at >= vote.at

-- name: vote_judge
UPDATE vote SET outcome = :outcome, stage = :stage
WHERE hour = :hour AND key_id = :key_id AND target = :target AND experiment = :experiment
  AND id = :id

-- name: hourly_add
INSERT INTO hourly (hour, experiment, target, country, asn, outcome, n)
VALUES (:hour, :experiment, :target, :country, :asn, :outcome, :n)
ON CONFLICT (hour, experiment, target, country, asn, outcome) DO UPDATE SET n = hourly.n + excluded.n

-- name: hourly_sweep
DELETE FROM hourly WHERE n <= 0

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
  SELECT target, country, asn, outcome, mechanisms, stage, authority, at,
    ROW_NUMBER() OVER (PARTITION BY key_id, target ORDER BY severity DESC, at DESC) AS nth
  FROM newest WHERE at >= :since AND outcome <> 'none'
)
SELECT target, country, asn, outcome, mechanisms, authority, COUNT(*),
  SUM(CASE WHEN stage = 'confirmed' THEN 1 ELSE 0 END), MAX(at)
FROM ranked WHERE nth = 1
GROUP BY target, country, asn, outcome, mechanisms, authority

-- name: current_anchors
-- The newest measurement of anchors of each key, from a run or from a connectivity record.
SELECT country, asn, foreign_alive, domestic_alive FROM (
  SELECT country, asn, foreign_alive, domestic_alive,
    ROW_NUMBER() OVER (PARTITION BY key_id ORDER BY at DESC, experiment) AS nth
  FROM newest
  WHERE at >= :since AND (foreign_alive IS NOT NULL OR domestic_alive IS NOT NULL)
) AS measured WHERE nth = 1

-- name: current_rates
SELECT target, country, asn, rate_target, rate_reference FROM newest
WHERE at >= :since AND (rate_target IS NOT NULL OR rate_reference IS NOT NULL)

-- name: active_probes
SELECT country, asn, region, COUNT(*), MAX(seen_at) FROM probe
WHERE role = 'probe' AND seen_at >= :since GROUP BY country, asn, region

-- name: totals
SELECT experiment, outcome, country, asn, n FROM total

-- name: timings
SELECT country, asn, op, bucket, n, seconds FROM timing

-- name: votes_since
-- Only votes on targets and networks with interference: others cannot become an event.
SELECT v.key_id, v.target, v.country, v.asn, v.outcome, v.stage, v.at, v.id, v.experiment
FROM vote v JOIN (
  SELECT DISTINCT target, country, asn FROM vote
  WHERE at >= :since AND outcome IN ('blocked', 'intercepted', 'throttled')
) bad ON bad.target = v.target AND bad.country = v.country AND bad.asn = v.asn
WHERE v.at >= :since ORDER BY v.at
