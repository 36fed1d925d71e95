-- name: meta_get
SELECT value FROM meta WHERE name = :name

-- name: meta_values_like
SELECT name, value FROM meta WHERE name LIKE :pattern

-- name: meta_add
INSERT INTO meta (name, value) VALUES (:name, :value) ON CONFLICT (name) DO NOTHING

-- name: meta_put
INSERT INTO meta (name, value) VALUES (:name, :value)
ON CONFLICT (name) DO UPDATE SET value = excluded.value

-- name: key_get
SELECT key_id, public_key, role FROM probe WHERE key_id = :key_id

-- name: key_add
INSERT INTO probe (key_id, public_key, role, enrolled_at, seen_at, country, asn, region, way, branch,
  origin)
VALUES (:key_id, :public_key, :role, :at, 0, 'ZZ', 0, '', :way, :branch, :origin)
ON CONFLICT (key_id) DO NOTHING

-- name: key_drop
DELETE FROM probe WHERE key_id = :key_id

-- name: key_seen
UPDATE probe SET seen_at = :at, country = :country, asn = :asn, region = :region
WHERE key_id = :key_id AND seen_at <= :at

-- name: key_alive
UPDATE probe SET seen_at = :at WHERE key_id = :key_id AND seen_at <= :at

-- name: key_count
SELECT role, COUNT(*) FROM probe GROUP BY role

-- name: request_mark
INSERT INTO request_seen (mark, created) VALUES (:mark, :created)
ON CONFLICT (mark) DO NOTHING RETURNING created

-- name: requests_seen
SELECT COUNT(*) FROM request_seen

-- name: request_forget
DELETE FROM request_seen WHERE created < :before

-- name: invite_add
INSERT INTO invite (hash, role, uses, made_at, expires_at)
VALUES (:hash, :role, :uses, :at, :expires_at)

-- name: invite_use
UPDATE invite SET uses = uses - 1
WHERE hash = :hash AND role = :role AND uses > 0 AND expires_at > :at
RETURNING uses

-- name: invite_get
SELECT role, uses, expires_at FROM invite WHERE hash = :hash

-- name: signs
-- The newest that probes say of the time: what they sign is refused while the clocks differ.
SELECT (SELECT MAX(seen_at) FROM probe), (SELECT MAX(seq) FROM measurement)

-- name: ahead_probes
UPDATE probe SET seen_at = CASE WHEN seen_at > :ahead THEN :now ELSE seen_at END,
  enrolled_at = CASE WHEN enrolled_at > :ahead THEN :now ELSE enrolled_at END
WHERE seen_at > :ahead OR enrolled_at > :ahead

-- name: ahead_places
UPDATE place SET seen_at = :now,
  first_at = CASE WHEN first_at > :ahead THEN :now ELSE first_at END
WHERE seen_at > :ahead

-- name: ahead_leases
DELETE FROM lease WHERE until > :ahead

-- name: ahead_batches
UPDATE batch SET until = 0 WHERE until > :ahead

-- name: ahead_conduct
DELETE FROM conduct WHERE day > :day

-- name: lease_drop
DELETE FROM lease WHERE name = :name AND holder = :holder

-- name: lease_take
INSERT INTO lease (name, holder, until) VALUES (:name, :holder, :until)
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
WHERE lease.holder = excluded.holder OR lease.until < :now
RETURNING holder

-- name: set_aside
SELECT subject, MIN(since), MIN(reason), MIN(made_at), COUNT(NULLIF(key_id, '')) FROM exclusion
GROUP BY subject ORDER BY 4 DESC, 1

-- name: doubted_lately
SELECT key_id, doubts, COUNT(*), MAX(received_at) FROM (
  SELECT key_id, doubts, received_at FROM measurement ORDER BY seq DESC LIMIT :among
) AS newest WHERE doubts <> ''
GROUP BY key_id, doubts ORDER BY 3 DESC, 1, 2 LIMIT :limit

-- name: contradicted_lately
-- Records of probes whose claimed network is not that of the connection which brought them.
SELECT key_id, claimed_country, claimed_asn, country, asn, voting, COUNT(*) FROM (
  SELECT key_id, claimed_country, claimed_asn, country, asn, voting, role, peer_agrees
  FROM measurement ORDER BY seq DESC LIMIT :among
) AS newest WHERE role = 'probe' AND peer_agrees = 0
GROUP BY key_id, claimed_country, claimed_asn, country, asn, voting
ORDER BY 7 DESC, 1, 2, 3, 4, 5, 6 LIMIT :limit
