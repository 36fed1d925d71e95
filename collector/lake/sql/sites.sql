-- The table of sites of a report: what was seen of each on each network.
-- since: first day. until: the day after the last. country, category: all when empty.
WITH look AS (
  SELECT country, target, asn, key, outcome, interfered, conclusive, MAX(category) AS category,
    COUNT(*) AS looks, MIN(measured_at) AS first_look, MAX(measured_at) AS last_look
  FROM counted
  WHERE dt >= CAST(:since AS DATE) AND dt < CAST(:until AS DATE)
    AND (:country = '' OR country = :country)
    AND (:category = '' OR category = :category)
  GROUP BY country, target, asn, key, outcome, interfered, conclusive
)
SELECT country, target, MAX(category) AS category, asn,
  CAST(SUM(looks) AS BIGINT) AS measurements,
  CAST(SUM(CASE WHEN conclusive THEN looks ELSE 0 END) AS BIGINT) AS conclusive,
  CAST(SUM(CASE WHEN outcome = 'blocked' THEN looks ELSE 0 END) AS BIGINT) AS blocked,
  CAST(SUM(CASE WHEN outcome = 'intercepted' THEN looks ELSE 0 END) AS BIGINT) AS intercepted,
  CAST(SUM(CASE WHEN outcome = 'throttled' THEN looks ELSE 0 END) AS BIGINT) AS throttled,
  CAST(SUM(CASE WHEN outcome IN ('ok', 'refused') THEN looks ELSE 0 END) AS BIGINT) AS fine,
  CAST(SUM(CASE WHEN outcome = 'down' THEN looks ELSE 0 END) AS BIGINT) AS down,
  CAST(SUM(CASE WHEN outcome = 'inconclusive' THEN looks ELSE 0 END) AS BIGINT) AS inconclusive,
  COUNT(DISTINCT CASE WHEN conclusive THEN key END) AS probes,
  COUNT(DISTINCT CASE WHEN interfered THEN key END) AS probes_interfered,
  MIN(CASE WHEN interfered THEN first_look END) AS first_seen,
  MAX(CASE WHEN interfered THEN last_look END) AS last_seen
FROM look
GROUP BY country, target, asn
ORDER BY country, target, asn
