-- Outcomes by day, site, network and mechanism.
-- since: first day. until: the day after the last. country, category, target: all when empty.
SELECT dt AS day, country, asn, target, MAX(category) AS category, outcome, mechanisms,
  COUNT(*) AS measurements, COUNT(DISTINCT key) AS probes
FROM counted
WHERE dt >= CAST(:since AS DATE) AND dt < CAST(:until AS DATE)
  AND (:country = '' OR country = :country)
  AND (:category = '' OR category = :category)
  AND (:target = '' OR target = :target)
GROUP BY dt, country, asn, target, outcome, mechanisms
ORDER BY day, country, asn, target, outcome, mechanisms
