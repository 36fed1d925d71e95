-- What the operator set aside is not read.

-- name: observation_add
INSERT INTO observation (seq, id, key_id, input, at, body)
VALUES (:seq, :id, :key_id, :input, :at, :body)

-- name: observations_of
SELECT o.input, o.id, o.at, o.body FROM observation o
WHERE o.input = :input AND o.at >= :since AND o.at <= :until
  AND NOT EXISTS (SELECT 1 FROM exclusion e WHERE e.key_id = o.key_id AND o.at >= e.since)
ORDER BY o.at DESC LIMIT 4

-- name: observations_near
-- The nearest on each side of an instant.
SELECT * FROM (
  SELECT o.id, o.at, o.body FROM observation o
  WHERE o.input = :input AND o.at <= :at AND o.at >= :since
    AND NOT EXISTS (SELECT 1 FROM exclusion e WHERE e.key_id = o.key_id AND o.at >= e.since)
  ORDER BY o.at DESC LIMIT 2
) AS earlier
UNION ALL
SELECT * FROM (
  SELECT o.id, o.at, o.body FROM observation o
  WHERE o.input = :input AND o.at > :at AND o.at <= :until
    AND NOT EXISTS (SELECT 1 FROM exclusion e WHERE e.key_id = o.key_id AND o.at >= e.since)
  ORDER BY o.at LIMIT 2
) AS later

-- name: observations_all
SELECT o.input, o.id, o.at, o.body FROM observation o
WHERE o.at >= :since AND o.at <= :until
  AND NOT EXISTS (SELECT 1 FROM exclusion e WHERE e.key_id = o.key_id AND o.at >= e.since)
ORDER BY o.at DESC LIMIT 2000

-- name: observation_known
SELECT 1 FROM observation o WHERE o.input = :input AND o.at >= :since
  AND NOT EXISTS (SELECT 1 FROM exclusion e WHERE e.key_id = o.key_id AND o.at >= e.since) LIMIT 1

-- name: observation_issued
SELECT o.id, o.at, o.body FROM observation o WHERE o.id = :id
  AND NOT EXISTS (SELECT 1 FROM exclusion e WHERE e.key_id = o.key_id AND o.at >= e.since) LIMIT 1
