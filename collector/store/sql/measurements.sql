-- name: measurement_add
INSERT INTO measurement (seq, id, key_id, run, role, lab, experiment, input, target, category, at,
  started_at, received_at, country, asn, region, network, version, peer_agrees, claim,
  claim_mechanisms, outcome, mechanisms, stage, confidence, verdict, ruleset, authority, timings,
  unjudged, claimed_country, claimed_asn, voting, counted, doubts, rate_target, rate_reference,
  anchors_foreign, anchors_domestic, line_faults, line_round_trip, line_loss, shuffle,
  made_from)
VALUES (:seq, :id, :key_id, :run, :role, :lab, :experiment, :input, :target, :category, :at,
  :started_at, :received_at, :country, :asn, :region, :network, :version, :peer_agrees, :claim,
  :claim_mechanisms, :outcome, :mechanisms, :stage, :confidence, :verdict, :ruleset, :authority,
  :timings, :unjudged, :claimed_country, :claimed_asn, :voting, :counted, :doubts, :rate_target,
  :rate_reference, :anchors_foreign, :anchors_domestic, :line_faults, :line_round_trip, :line_loss,
  :shuffle, :made_from)
ON CONFLICT (id, key_id) DO NOTHING

-- name: measurements_between
SELECT seq FROM measurement WHERE seq >= :first AND seq < :last

-- name: raw_add
INSERT INTO raw (seq, body) VALUES (:seq, :raw)

-- name: certificate_add
INSERT INTO certificate (sha256, der) VALUES (:sha256, :der) ON CONFLICT (sha256) DO NOTHING

-- name: served_add
INSERT INTO served (seq, sha256) VALUES (:seq, :sha256) ON CONFLICT (seq, sha256) DO NOTHING

-- name: forged_add
INSERT INTO forged (seq, name, leaf, place, sha256)
VALUES (:seq, :name, :leaf, :place, :sha256) ON CONFLICT (seq, name, leaf, place) DO NOTHING

-- name: measurement_judge
UPDATE measurement SET outcome = :outcome, mechanisms = :mechanisms, stage = :stage,
  confidence = :confidence, verdict = :verdict, ruleset = :ruleset, authority = :authority,
  unjudged = :unjudged
WHERE seq = :seq AND outcome = :was RETURNING counted

-- name: raw_get
SELECT body FROM raw WHERE seq = :seq

-- name: certificates_of
SELECT c.sha256, c.der FROM served s JOIN certificate c ON c.sha256 = s.sha256
WHERE s.seq = :seq ORDER BY c.sha256

-- name: measurement_seqs
SELECT seq FROM measurement WHERE id = :id ORDER BY seq

-- name: rolled_of
SELECT seq, experiment, outcome, country, asn, target, at, timings FROM measurement
WHERE key_id = :key_id AND role = 'probe' AND counted = 1 AND seq > :after ORDER BY seq LIMIT 1000

-- name: erase_certificates
DELETE FROM certificate WHERE sha256 IN (
  SELECT s.sha256 FROM served s JOIN measurement m ON m.seq = s.seq WHERE m.key_id = :key_id
) AND NOT EXISTS (
  SELECT 1 FROM served s JOIN measurement m ON m.seq = s.seq
  WHERE s.sha256 = certificate.sha256 AND m.key_id <> :key_id
) AND NOT EXISTS (
  SELECT 1 FROM forged f JOIN measurement m ON m.seq = f.seq
  WHERE f.sha256 = certificate.sha256 AND m.key_id <> :key_id
)

-- name: erase_forged
DELETE FROM forged WHERE seq IN (SELECT seq FROM measurement WHERE key_id = :key_id)

-- name: erase_served
DELETE FROM served WHERE seq IN (SELECT seq FROM measurement WHERE key_id = :key_id)

-- name: erase_raw
DELETE FROM raw WHERE seq IN (SELECT seq FROM measurement WHERE key_id = :key_id)

-- name: erase_measurements
DELETE FROM measurement WHERE key_id = :key_id

-- name: erase_newest
DELETE FROM newest WHERE key_id = :key_id

-- name: erase_votes
DELETE FROM vote WHERE key_id = :key_id

-- name: erase_observations
DELETE FROM observation WHERE key_id = :key_id

-- name: count_of
SELECT COUNT(*) FROM measurement WHERE key_id = :key_id
