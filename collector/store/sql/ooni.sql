-- name: original_add
INSERT INTO ooni_original (uid, key_id, id, received_at, body)
VALUES (:uid, :key_id, :id, :received_at, :body) ON CONFLICT (uid) DO NOTHING

-- name: original_get
SELECT body FROM ooni_original WHERE uid = :uid

-- name: erase_originals
DELETE FROM ooni_original WHERE key_id = :key_id

-- name: erase_set_aside
DELETE FROM meta WHERE name = 'set_aside:' || :key_id

-- name: retire_originals
DELETE FROM ooni_original WHERE uid IN (
  SELECT uid FROM ooni_original WHERE received_at < :before ORDER BY received_at LIMIT :limit
) RETURNING uid
