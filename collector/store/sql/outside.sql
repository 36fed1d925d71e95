-- name: outside_series_put
INSERT INTO outside_series (id, source, signal, country, asn, licence, step)
VALUES (:id, :source, :signal, :country, :asn, :licence, :step)
ON CONFLICT (id) DO UPDATE SET licence = excluded.licence, step = excluded.step

-- name: outside_point_put
INSERT INTO outside_point (series, at, value) VALUES (:series, :at, :value)
ON CONFLICT (series, at) DO UPDATE SET value = excluded.value

-- name: outside_sources
SELECT DISTINCT source FROM outside_series ORDER BY source

-- name: outside_series_at
SELECT id, source, signal, licence, step FROM outside_series
WHERE country = :country AND asn = :asn AND source = :source ORDER BY signal LIMIT :limit

-- name: outside_points
SELECT at, value FROM outside_point
WHERE series = :series AND at >= :since AND at < :until ORDER BY at LIMIT :limit

-- name: retire_outside
DELETE FROM outside_point WHERE (series, at) IN (
  SELECT series, at FROM outside_point WHERE at < :before ORDER BY at LIMIT :limit
) RETURNING at

-- name: retire_outside_series
DELETE FROM outside_series
WHERE NOT EXISTS (SELECT 1 FROM outside_point p WHERE p.series = outside_series.id)
