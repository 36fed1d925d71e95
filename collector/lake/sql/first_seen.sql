-- When interference with a site on a network was first and last seen, each with its bracket: the
-- newest fine look before the first, and the oldest fine look after the last.
-- since: first day. until: the day after the last. country, category, target: all when empty.
WITH bad AS (
  SELECT country, asn, target, MAX(category) AS category, MIN(measured_at) AS first_seen,
    MAX(measured_at) AS last_seen, COUNT(*) AS measurements, COUNT(DISTINCT key) AS probes
  FROM counted
  WHERE interfered AND dt >= CAST(:since AS DATE) AND dt < CAST(:until AS DATE)
    AND (:country = '' OR country = :country)
    AND (:category = '' OR category = :category)
    AND (:target = '' OR target = :target)
  GROUP BY country, asn, target
)
SELECT bad.country, bad.asn, bad.target, MAX(bad.category) AS category,
  MAX(CASE WHEN fine.measured_at < bad.first_seen THEN fine.measured_at END) AS fine_before,
  MIN(bad.first_seen) AS first_seen, MAX(bad.last_seen) AS last_seen,
  MIN(CASE WHEN fine.measured_at > bad.last_seen THEN fine.measured_at END) AS fine_after,
  MAX(bad.measurements) AS measurements, MAX(bad.probes) AS probes
FROM bad LEFT JOIN counted fine
  ON fine.country = bad.country AND fine.asn = bad.asn AND fine.target = bad.target
  AND fine.conclusive AND NOT fine.interfered
  AND fine.dt >= CAST(:since AS DATE) AND fine.dt < CAST(:until AS DATE)
  AND (fine.measured_at < bad.first_seen OR fine.measured_at > bad.last_seen)
GROUP BY bad.country, bad.asn, bad.target
ORDER BY bad.country, bad.asn, bad.target
