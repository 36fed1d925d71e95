-- How waves of events spread: their first and last beginning, and how many networks and sites.
-- since: first day. until: the day after the last. country: all when empty.
SELECT wave, country, MIN(began_by) AS first_began, MAX(began_by) AS last_began,
  COUNT(*) AS events, COUNT(DISTINCT asn) AS networks, COUNT(DISTINCT target) AS sites,
  MIN(kind) AS kind
FROM events
WHERE wave <> '' AND state <> 'withdrawn'
  AND dt >= CAST(:since AS DATE) AND dt < CAST(:until AS DATE)
  AND (:country = '' OR country = :country)
GROUP BY wave, country
ORDER BY first_began, wave
