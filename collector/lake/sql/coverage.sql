-- How much was measured on each network and day, and the longest gap between two looks, hours
-- (one that ended on that day; of gaps under ten minutes not all are told).
-- since: first day. until: the day after the last. country: all when empty.
WITH spell AS (
  SELECT dt, country, asn, key, FLOOR(unix_seconds(measured_at) / 600) AS slot,
    COUNT(*) AS measurements, MIN(measured_at) AS first_look, MAX(measured_at) AS last_look
  FROM counted
  WHERE dt >= CAST(:since AS DATE) AND dt < CAST(:until AS DATE)
    AND (:country = '' OR country = :country)
  GROUP BY dt, country, asn, key, FLOOR(unix_seconds(measured_at) / 600)
), gap AS (
  SELECT dt, country, asn, key, measurements,
    unix_seconds(first_look) - MAX(unix_seconds(last_look)) OVER (
      PARTITION BY country, asn ORDER BY slot, key
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS seconds
  FROM spell
), site AS (
  SELECT dt, country, asn, COUNT(DISTINCT target) AS sites
  FROM counted
  WHERE dt >= CAST(:since AS DATE) AND dt < CAST(:until AS DATE)
    AND (:country = '' OR country = :country)
  GROUP BY dt, country, asn
)
SELECT gap.dt AS day, gap.country, gap.asn, CAST(SUM(gap.measurements) AS BIGINT) AS measurements,
  COUNT(DISTINCT gap.key) AS probes, MAX(site.sites) AS sites,
  CAST(MAX(CASE WHEN seconds > 0 THEN seconds ELSE 0 * seconds END) AS DOUBLE) / 3600
    AS longest_gap_hours
FROM gap JOIN site ON site.dt = gap.dt AND site.country = gap.country AND site.asn = gap.asn
GROUP BY gap.dt, gap.country, gap.asn
ORDER BY day, gap.country, gap.asn
