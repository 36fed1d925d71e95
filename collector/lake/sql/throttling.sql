-- Throughput of a site against its reference, by day and network: bytes a second, medians.
-- since: first day. until: the day after the last. country, target: all when empty.
SELECT dt AS day, country, asn, target, COUNT(*) AS measurements, COUNT(DISTINCT key) AS probes,
  COUNT(CASE WHEN outcome = 'throttled' THEN 1 END) AS throttled,
  MEDIAN(rate_target) AS rate_target, MEDIAN(rate_reference) AS rate_reference,
  MEDIAN(CASE WHEN rate_reference > 0 THEN rate_target / rate_reference END) AS ratio
FROM counted
WHERE experiment = 'throttle' AND rate_target IS NOT NULL AND rate_reference IS NOT NULL
  AND dt >= CAST(:since AS DATE) AND dt < CAST(:until AS DATE)
  AND (:country = '' OR country = :country)
  AND (:target = '' OR target = :target)
GROUP BY dt, country, asn, target
ORDER BY day, country, asn, target
