-- Which rules decided, in which set of rules.
-- since: first day. until: the day after the last. country: all when empty.
SELECT ruleset, rule, outcome, COUNT(*) AS measurements, COUNT(DISTINCT target) AS sites
FROM counted
WHERE rule <> '' AND dt >= CAST(:since AS DATE) AND dt < CAST(:until AS DATE)
  AND (:country = '' OR country = :country)
GROUP BY ruleset, rule, outcome
ORDER BY ruleset, rule, outcome
