-- name: beat_add
-- Twelve bits an hour, one for each five minutes; bits that are set stay set.
INSERT INTO beat (key_id, hour, country, asn, heard, cut, missed)
VALUES (:key_id, :hour, :country, :asn, :heard, :cut, :missed)
ON CONFLICT (key_id, hour, country, asn) DO UPDATE SET heard = beat.heard | excluded.heard,
  cut = beat.cut | excluded.cut, missed = beat.missed | excluded.missed

-- name: own_hour
SELECT hour FROM beat WHERE key_id = :key_id ORDER BY hour DESC LIMIT 1 OFFSET :back

-- name: beats_since
SELECT b.key_id, b.hour, b.country, b.asn, b.heard, b.cut, b.missed FROM beat b
WHERE b.hour >= :hour AND b.hour < :until
  AND (CAST(:country AS TEXT) = '' OR b.country = :country)
  AND (CAST(:asn AS INTEGER) = 0 OR b.asn = :asn) AND NOT EXISTS (
  SELECT 1 FROM exclusion e WHERE e.key_id = b.key_id AND b.hour * 3600 > e.since - 3600
) ORDER BY b.hour, b.key_id

-- name: beats_reported
SELECT b.key_id, b.hour, b.country, b.asn, b.heard, b.cut, b.missed FROM beat b
WHERE b.hour >= :hour AND (b.cut <> 0 OR b.missed <> 0) AND NOT EXISTS (
  SELECT 1 FROM exclusion e WHERE e.key_id = b.key_id AND b.hour * 3600 > e.since - 3600
) ORDER BY b.hour, b.key_id

-- name: retire_beats
DELETE FROM beat WHERE hour < :hour

-- name: erase_beats
DELETE FROM beat WHERE key_id = :key_id

-- name: series_add
INSERT INTO series (key_id, id, experiment, target, at, country, asn, outcome, mechanisms,
  rate_target, rate_reference, foreign_alive, domestic_alive)
VALUES (:key_id, :id, :experiment, :target, :at, :country, :asn, :outcome, :mechanisms,
  :rate_target, :rate_reference, :foreign_alive, :domestic_alive)
ON CONFLICT (key_id, id) DO NOTHING

-- name: series_judge
UPDATE series SET outcome = :outcome, mechanisms = :mechanisms
WHERE key_id = :key_id AND id = :id

-- name: series_since
SELECT s.key_id, s.id, s.experiment, s.target, s.at, s.country, s.asn, s.outcome, s.mechanisms,
  s.rate_target, s.rate_reference FROM series s
WHERE s.at >= :since AND s.experiment IN ('throttle', 'speed', 'connectivity') AND NOT EXISTS (
  SELECT 1 FROM exclusion e WHERE e.key_id = s.key_id AND s.at >= e.since
) ORDER BY s.at

-- name: retire_series
DELETE FROM series WHERE (key_id, id) IN (
  SELECT key_id, id FROM series WHERE at < :before LIMIT :limit
) RETURNING at

-- name: erase_series
DELETE FROM series WHERE key_id = :key_id
