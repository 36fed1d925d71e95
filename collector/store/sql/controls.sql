-- name: observation_add
INSERT INTO observation (seq, id, key_id, input, at, body)
VALUES (:seq, :id, :key_id, :input, :at, :body)

-- name: observations_of
SELECT input, id, at, body FROM observation
WHERE input = :input AND at >= :since AND at <= :until ORDER BY at DESC LIMIT 4

-- name: observations_near
-- The nearest on each side of an instant.
SELECT * FROM (
  SELECT id, at, body FROM observation
  WHERE input = :input AND at <= :at AND at >= :since ORDER BY at DESC LIMIT 2
) AS earlier
UNION ALL
SELECT * FROM (
  SELECT id, at, body FROM observation
  WHERE input = :input AND at > :at AND at <= :until ORDER BY at LIMIT 2
) AS later

-- name: observations_all
SELECT input, id, at, body FROM observation
WHERE at >= :since AND at <= :until ORDER BY at DESC LIMIT 2000

-- name: observation_known
SELECT 1 FROM observation WHERE input = :input AND at >= :since LIMIT 1
