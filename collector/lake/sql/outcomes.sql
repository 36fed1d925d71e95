-- Outcomes by day, site, network and mechanism.
-- since: first day. until: the day after the last. country, category, target: all when empty.
-- by: day, week, month or year; the column `day` is the first one of each.
WITH look AS (
  SELECT CAST(DATE_TRUNC(:by, dt) AS DATE) AS day, country, asn, target, category, outcome,
    mechanisms, key, COUNT(*) AS measurements
  FROM counted
  WHERE dt >= CAST(:since AS DATE) AND dt < CAST(:until AS DATE)
    AND (:country = '' OR country = :country)
    AND (:category = '' OR category = :category)
    AND (:target = '' OR target = :target)
  GROUP BY CAST(DATE_TRUNC(:by, dt) AS DATE), country, asn, target, category, outcome, mechanisms,
    key
)
SELECT day, country, asn, target, category, outcome, mechanisms,
  CAST(SUM(measurements) AS BIGINT) AS measurements, COUNT(*) AS probes
FROM look
GROUP BY day, country, asn, target, category, outcome, mechanisms
ORDER BY day, country, asn, target, category, outcome, mechanisms
