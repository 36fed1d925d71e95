-- The table of sites of a report: what was seen of each on each network.
-- since: first day. until: the day after the last. country, category: all when empty.
SELECT country, target, MAX(category) AS category, asn, COUNT(*) AS measurements,
  COUNT(CASE WHEN conclusive THEN 1 END) AS conclusive,
  COUNT(CASE WHEN outcome = 'blocked' THEN 1 END) AS blocked,
  COUNT(CASE WHEN outcome = 'intercepted' THEN 1 END) AS intercepted,
  COUNT(CASE WHEN outcome = 'throttled' THEN 1 END) AS throttled,
  COUNT(CASE WHEN outcome IN ('ok', 'refused') THEN 1 END) AS fine,
  COUNT(CASE WHEN outcome = 'down' THEN 1 END) AS down,
  COUNT(CASE WHEN outcome = 'inconclusive' THEN 1 END) AS inconclusive,
  COUNT(DISTINCT CASE WHEN conclusive THEN key END) AS probes,
  COUNT(DISTINCT CASE WHEN interfered THEN key END) AS probes_interfered,
  MIN(CASE WHEN interfered THEN measured_at END) AS first_seen,
  MAX(CASE WHEN interfered THEN measured_at END) AS last_seen
FROM counted
WHERE dt >= CAST(:since AS DATE) AND dt < CAST(:until AS DATE)
  AND (:country = '' OR country = :country)
  AND (:category = '' OR category = :category)
GROUP BY country, target, asn
ORDER BY country, target, asn
