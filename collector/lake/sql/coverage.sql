-- How much was measured on each network and day, and the longest gap between two looks, hours.
-- since: first day. until: the day after the last. country: all when empty.
WITH look AS (
  SELECT dt, country, asn, key, target, measured_at,
    LAG(measured_at) OVER (PARTITION BY country, asn ORDER BY measured_at) AS previous
  FROM counted
  WHERE dt >= CAST(:since AS DATE) AND dt < CAST(:until AS DATE)
    AND (:country = '' OR country = :country)
)
SELECT dt AS day, country, asn, COUNT(*) AS measurements, COUNT(DISTINCT key) AS probes,
  COUNT(DISTINCT target) AS sites,
  CAST(MAX(unix_seconds(measured_at) - unix_seconds(previous)) AS DOUBLE) / 3600 AS longest_gap_hours
FROM look
GROUP BY dt, country, asn
ORDER BY day, country, asn
