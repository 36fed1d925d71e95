-- name: standing_keys
SELECT key_id, role, way, branch, origin, enrolled_at FROM probe
UNION ALL SELECT key_id, 'probe', 'import', '', '', 0 FROM source

-- name: standing_key
SELECT key_id, role, way, branch, origin, enrolled_at FROM probe WHERE key_id = :key_id

-- name: source_add
INSERT INTO source (key_id) VALUES (:key_id) ON CONFLICT (key_id) DO NOTHING

-- name: places_all
SELECT key_id, country, asn, origin FROM place

-- name: places_of
SELECT country, asn FROM place WHERE key_id = :key_id AND seen_at >= :since

-- name: place_put
-- The origin is that of the newest connection: people meet where they enrol, and live elsewhere.
INSERT INTO place (key_id, country, asn, origin, first_at, seen_at)
VALUES (:key_id, :country, :asn, :origin, :at, :at)
ON CONFLICT (key_id, country, asn) DO UPDATE SET
  seen_at = excluded.seen_at, origin = excluded.origin
WHERE excluded.seen_at > place.seen_at

-- name: erase_places
DELETE FROM place WHERE key_id = :key_id

-- name: retire_places
DELETE FROM place WHERE seen_at < :before

-- name: own_key
SELECT 1 FROM probe WHERE way = 'own' LIMIT 1

-- name: key_way
SELECT way FROM probe WHERE key_id = :key_id

-- name: key_vouch
UPDATE probe SET way = 'invite', branch = :branch WHERE key_id = :key_id

-- name: looks_add
INSERT INTO looks (key_id, day, n) VALUES (:key_id, :day, :n)
ON CONFLICT (key_id, day) DO UPDATE SET n = looks.n + excluded.n
RETURNING n

-- name: erase_looks
DELETE FROM looks WHERE key_id = :key_id

-- name: retire_looks
DELETE FROM looks WHERE day < :day

-- name: conduct_since
SELECT key_id, voted, compared, agreed FROM conduct WHERE day >= :day

-- name: conduct_of
SELECT key_id, voted, compared, agreed FROM conduct WHERE key_id = :key_id AND day >= :day

-- name: conduct_last
SELECT MAX(day) FROM conduct

-- name: conduct_put
INSERT INTO conduct (key_id, day, voted, compared, agreed)
VALUES (:key_id, :day, :voted, :compared, :agreed)
ON CONFLICT (key_id, day) DO UPDATE SET
  voted = excluded.voted, compared = excluded.compared, agreed = excluded.agreed

-- name: erase_conduct
DELETE FROM conduct WHERE key_id = :key_id

-- name: retire_conduct
DELETE FROM conduct WHERE day < :day

-- name: targets_of_day
SELECT target, COUNT(*) FROM vote WHERE hour >= :first AND hour < :after
GROUP BY target ORDER BY target

-- name: votes_of_day
SELECT v.key_id, v.target, v.country, v.asn, v.outcome FROM vote v
WHERE v.hour >= :first AND v.hour < :after AND v.target >= :target AND v.target <= :last
  AND NOT EXISTS (SELECT 1 FROM exclusion e WHERE e.key_id = v.key_id AND v.at >= e.since)
ORDER BY v.at

-- name: exclusion_add
INSERT INTO exclusion (key_id, subject, since, reason, made_at)
VALUES (:key_id, :subject, :since, :reason, :at)
ON CONFLICT (key_id, subject) DO UPDATE SET
  since = excluded.since, reason = excluded.reason, made_at = excluded.made_at

-- name: exclusion_drop
DELETE FROM exclusion WHERE subject = :subject

-- name: exclusion_inherit
INSERT INTO exclusion (key_id, subject, since, reason, made_at)
SELECT :key_id, subject, since, reason, made_at FROM exclusion
WHERE key_id = '' AND subject = :branch
ON CONFLICT (key_id, subject) DO NOTHING

-- name: exclusions
SELECT key_id, subject, since, reason FROM exclusion ORDER BY made_at, subject, key_id

-- name: exclusions_of
SELECT since FROM exclusion WHERE key_id = :key_id

-- name: erase_exclusions
DELETE FROM exclusion WHERE key_id = :key_id

-- name: keys_named
SELECT key_id FROM probe WHERE key_id = :subject OR (branch = :subject AND branch <> '')
UNION SELECT key_id FROM source WHERE key_id = :subject ORDER BY key_id

-- name: branch_known
SELECT 1 FROM invite WHERE SUBSTR(hash, 1, 12) = :branch
UNION SELECT 1 FROM probe WHERE branch = :branch AND branch <> '' LIMIT 1

-- name: recount_page
-- Records whose place in the counts differs from what the exclusions say.
SELECT m.seq, m.experiment, m.outcome, m.country, m.asn, m.target, m.at, m.timings, m.counted
FROM measurement m
WHERE m.key_id = :key_id AND m.role = 'probe' AND m.seq > :after
  AND m.counted = CASE WHEN EXISTS (
    SELECT 1 FROM exclusion e WHERE e.key_id = m.key_id AND m.at >= e.since
  ) THEN 1 ELSE 0 END
ORDER BY m.seq LIMIT 1000

-- name: counted_put
UPDATE measurement SET counted = :counted WHERE seq = :seq

-- name: key_overview
SELECT p.key_id, p.role, p.way, p.branch, p.origin, p.enrolled_at, p.seen_at, p.country, p.asn,
  (SELECT COUNT(*) FROM measurement m WHERE m.key_id = p.key_id)
FROM probe p
UNION ALL
SELECT s.key_id, 'probe', 'import', '', '', 0, 0, 'ZZ', 0,
  (SELECT COUNT(*) FROM measurement m WHERE m.key_id = s.key_id)
FROM source s
ORDER BY 6, 1

-- name: network_keys
-- Some keys that measured on a network. The words after WHERE are those of the index of the same name.
-- PostgreSQL reads all rows for DISTINCT, so they are limited too.
SELECT DISTINCT key_id FROM (
  SELECT m.key_id FROM measurement m
  WHERE m.role = 'probe' AND m.voting = 1
    AND m.country = :country AND m.asn = :asn AND m.at >= :since AND m.at < :until
    AND NOT EXISTS (SELECT 1 FROM exclusion e WHERE e.key_id = m.key_id AND m.at >= e.since)
  LIMIT :rows
) AS measured LIMIT :limit
