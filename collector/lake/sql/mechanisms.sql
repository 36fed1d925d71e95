-- By which mechanisms sites were interfered with, on each network.
-- since: first day. until: the day after the last. country, category: all when empty.
SELECT country, target, asn, mechanisms, outcome, COUNT(*) AS measurements,
  COUNT(DISTINCT key) AS probes
FROM counted
WHERE interfered AND dt >= CAST(:since AS DATE) AND dt < CAST(:until AS DATE)
  AND (:country = '' OR country = :country)
  AND (:category = '' OR category = :category)
GROUP BY country, target, asn, mechanisms, outcome
ORDER BY country, target, asn, mechanisms, outcome
