-- name: daily_add
INSERT INTO daily (target, day, country, asn, experiment, outcome, n)
VALUES (:target, :day, :country, :asn, :experiment, :outcome, :n)
ON CONFLICT (target, day, country, asn, experiment, outcome) DO UPDATE SET n = daily.n + excluded.n

-- name: daily_sweep
DELETE FROM daily WHERE n <= 0

-- name: days_of_target
SELECT country, asn, day, outcome, CAST(SUM(n) AS INTEGER) FROM daily
WHERE target = :target AND day >= :since AND (CAST(:asn AS INTEGER) < 0 OR asn = :asn)
GROUP BY country, asn, day, outcome

-- name: interfered_on_network
-- The sites with most interference come first.
SELECT target, CAST(SUM(n) AS INTEGER) AS bad FROM daily
WHERE asn = :asn AND day >= :since AND outcome IN ('blocked', 'intercepted', 'throttled')
GROUP BY target ORDER BY bad DESC, target LIMIT :limit

-- name: mechanisms_of_target
SELECT v.country, v.asn, v.hour / 24, v.outcome, v.mechanisms, COUNT(*) FROM vote v
WHERE v.target = :target AND v.at >= :since
  AND v.outcome IN ('blocked', 'intercepted', 'throttled')
  AND NOT EXISTS (SELECT 1 FROM exclusion e WHERE e.key_id = v.key_id AND v.at >= e.since)
GROUP BY v.country, v.asn, v.hour / 24, v.outcome, v.mechanisms

-- name: rates_of_target
SELECT s.country, s.asn, s.at, s.rate_target, s.rate_reference FROM series s
WHERE s.target = :target AND s.at >= :since AND s.rate_target IS NOT NULL
  AND s.rate_reference IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM exclusion e WHERE e.key_id = s.key_id AND s.at >= e.since)
ORDER BY s.at DESC LIMIT :limit

-- name: forged_of_target
-- Like `forged_seen`, of the newest records of one site.
SELECT f.leaf, COALESCE(i.sha256, ''), f.name, looked.country, looked.asn, MAX(looked.network),
  looked.key_id, MIN(looked.at), MAX(looked.at), COUNT(*)
FROM (
  SELECT seq, country, asn, network, key_id, at FROM measurement
  WHERE target = :target AND outcome = 'intercepted' AND role = 'probe' AND voting = 1
  ORDER BY seq DESC LIMIT :limit
) AS looked JOIN forged f ON f.seq = looked.seq
LEFT JOIN forged i ON i.seq = f.seq AND i.name = f.name AND i.leaf = f.leaf AND i.place = 1
WHERE f.place = 0
  AND NOT EXISTS (SELECT 1 FROM exclusion e WHERE e.key_id = looked.key_id AND looked.at >= e.since)
GROUP BY f.leaf, COALESCE(i.sha256, ''), f.name, looked.country, looked.asn, looked.key_id

-- name: reached_by_hour
-- One engine rounds to whole seconds where the other cuts.
SELECT (CAST(s.at AS BIGINT) - CASE WHEN CAST(s.at AS BIGINT) > s.at THEN 1 ELSE 0 END) / 3600,
  s.country, s.key_id, AVG(s.foreign_alive), AVG(s.domestic_alive)
FROM series s
WHERE s.at >= :since AND s.experiment = 'connectivity' AND s.country <> 'ZZ' AND NOT EXISTS (
  SELECT 1 FROM exclusion e WHERE e.key_id = s.key_id AND s.at >= e.since
) GROUP BY 1, 2, 3

-- name: heard_by_hour
SELECT b.hour, b.country, COUNT(DISTINCT b.key_id) FROM beat b
WHERE b.hour >= :since AND b.heard <> 0 AND b.key_id <> '' AND NOT EXISTS (
  SELECT 1 FROM exclusion e WHERE e.key_id = b.key_id AND b.hour * 3600 > e.since - 3600
) GROUP BY b.hour, b.country
