-- name: key_hold
-- Locks the key's row until the end of the transaction, so that an erasure comes before or after.
UPDATE probe SET role = role WHERE key_id = :key_id RETURNING key_id

-- name: waiting_add
-- A record that is stored or waits already is left out.
INSERT INTO waiting (seq, key_id, id, tries)
SELECT CAST(:seq AS INTEGER), CAST(:key_id AS TEXT), CAST(:id AS TEXT), 0
WHERE NOT EXISTS (SELECT 1 FROM measurement m WHERE m.id = :id AND m.key_id = :key_id)
ON CONFLICT (key_id, id) DO NOTHING

-- name: waiting_between
SELECT seq, tries, id FROM waiting WHERE seq >= :first AND seq < :last ORDER BY seq

-- name: batch_add
INSERT INTO batch (seq, key_id, role, received_at, records, context, holder, until, tries)
VALUES (:seq, :key_id, :role, :received_at, :records, :context, '', 0, 0)

-- name: batch_body_add
INSERT INTO batch_body (seq, body) VALUES (:seq, :body)

-- name: claims_lock
-- Collectors of one store claim one after another.
INSERT INTO meta (name, value) VALUES ('claims', '')
ON CONFLICT (name) DO UPDATE SET value = excluded.value

-- name: batch_claim
-- The oldest batches without a holder, up to a number of records; those of a key that another worker
-- is judging wait for it, so that the records of a key are judged in their order. `only`: those of
-- one key, or empty.
UPDATE batch SET holder = :holder, until = :until, tries = tries + 1 WHERE seq IN (
  SELECT seq FROM (
    SELECT b.seq, SUM(b.records) OVER (ORDER BY b.seq) - b.records AS before FROM (
      SELECT c.seq, c.records FROM batch c
      WHERE (c.until < :now OR c.holder = :holder)
      AND (CAST(:only AS TEXT) = '' OR c.key_id = :only) AND NOT EXISTS (
        SELECT 1 FROM batch o
        WHERE o.key_id = c.key_id AND o.until >= :now AND o.holder <> :holder
      )
      ORDER BY c.seq LIMIT :limit
    ) AS b
  ) AS free WHERE before < :records
) RETURNING seq, key_id, context, tries

-- name: batch_body_get
SELECT body FROM batch_body WHERE seq = :seq

-- name: batch_renew
UPDATE batch SET until = :until WHERE holder = :holder

-- name: batch_release
-- Given back by a worker that stops in good order.
UPDATE batch SET holder = '', until = 0, tries = 0 WHERE holder = :holder

-- name: batch_free
-- For a store with a single collector: what held batches has ended.
UPDATE batch SET holder = '', until = 0 WHERE until > 0

-- name: batch_held
-- Locks the batch's row until the end of the transaction, if it is still held.
UPDATE batch SET holder = holder WHERE seq = :seq AND holder = :holder RETURNING seq

-- name: waiting_try
UPDATE waiting SET tries = tries + 1 WHERE seq = :seq

-- name: waiting_drop
DELETE FROM waiting WHERE seq = :seq

-- name: batch_drop
DELETE FROM batch WHERE seq = :seq

-- name: batch_body_drop
DELETE FROM batch_body WHERE seq = :seq

-- name: backlog
SELECT CAST(COALESCE(SUM(records), 0) AS INTEGER), MIN(seq), MIN(received_at) FROM batch

-- name: newest_seq
SELECT MAX(seq) FROM measurement

-- name: batch_seize
UPDATE batch SET holder = '', until = 0 WHERE key_id = :key_id

-- name: erase_waiting
DELETE FROM waiting WHERE key_id = :key_id

-- name: erase_bodies
DELETE FROM batch_body WHERE seq IN (SELECT seq FROM batch WHERE key_id = :key_id)

-- name: erase_batches
DELETE FROM batch WHERE key_id = :key_id

-- name: waiting_count
SELECT COUNT(*) FROM waiting WHERE key_id = :key_id
