-- name: beat_add
-- Twelve bits an hour, one for each five minutes; bits that are set stay set.
INSERT INTO beat (key_id, hour, country, asn, heard, cut, missed)
VALUES (:key_id, :hour, :country, :asn, :heard, :cut, :missed)
ON CONFLICT (key_id, hour, country, asn) DO UPDATE SET heard = beat.heard | excluded.heard,
  cut = beat.cut | excluded.cut, missed = beat.missed | excluded.missed

-- name: beats_since
SELECT key_id, hour, country, asn, heard, cut, missed FROM beat
WHERE hour >= :hour AND hour < :until ORDER BY hour, key_id

-- name: beats_reported
SELECT key_id, hour, country, asn, heard, cut, missed FROM beat
WHERE hour >= :hour AND (cut <> 0 OR missed <> 0) ORDER BY hour, key_id

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
SELECT key_id, id, experiment, target, at, country, asn, outcome, mechanisms, rate_target,
  rate_reference FROM series
WHERE at >= :since AND experiment IN ('throttle', 'speed', 'connectivity') ORDER BY at

-- name: retire_series
DELETE FROM series WHERE at < :before

-- name: erase_series
DELETE FROM series WHERE key_id = :key_id
