-- name: page_newest
SELECT seq, id, run, role, lab, experiment, input, target, category, at, started_at, country, asn,
  region, network, version, claim, claim_mechanisms, outcome, mechanisms, stage, confidence,
  ruleset, authority, verdict, claimed_country, claimed_asn, voting, doubts,
  unjudged
FROM measurement
WHERE seq < :cursor AND seq >= :floor AND at >= :since AND at < :until
  AND (CAST(:target AS TEXT) = '' OR target = :target)
  AND (CAST(:input AS TEXT) = '' OR input = :input)
  AND (CAST(:country AS TEXT) = '' OR country = :country)
  AND (CAST(:asn AS INTEGER) < 0 OR asn = :asn)
  AND (CAST(:outcome AS TEXT) = '' OR outcome = :outcome)
  AND (CAST(:experiment AS TEXT) = '' OR experiment = :experiment)
  AND (CAST(:role AS TEXT) = '' OR role = :role)
ORDER BY seq DESC LIMIT :limit

-- name: page_oldest
SELECT seq, id, run, role, lab, experiment, input, target, category, at, started_at, country, asn,
  region, network, version, claim, claim_mechanisms, outcome, mechanisms, stage, confidence,
  ruleset, authority, verdict, claimed_country, claimed_asn, voting, doubts,
  unjudged
FROM measurement
WHERE seq > :cursor AND seq >= :floor AND at >= :since AND at < :until
  AND (CAST(:target AS TEXT) = '' OR target = :target)
  AND (CAST(:input AS TEXT) = '' OR input = :input)
  AND (CAST(:country AS TEXT) = '' OR country = :country)
  AND (CAST(:asn AS INTEGER) < 0 OR asn = :asn)
  AND (CAST(:outcome AS TEXT) = '' OR outcome = :outcome)
  AND (CAST(:experiment AS TEXT) = '' OR experiment = :experiment)
  AND (CAST(:role AS TEXT) = '' OR role = :role)
ORDER BY seq LIMIT :limit

-- name: shown_newest
-- What the public is told: by the hour, and at random within it, as the index has it.
SELECT seq, id, run, role, lab, experiment, input, target, category, at, started_at, country, asn,
  region, network, version, claim, claim_mechanisms, outcome, mechanisms, stage, confidence,
  ruleset, authority, verdict, claimed_country, claimed_asn, voting, doubts,
  unjudged,
  (CAST(at AS INTEGER) - CASE WHEN CAST(at AS INTEGER) > at THEN 1 ELSE 0 END) / 3600 AS hour,
  shuffle
FROM measurement
WHERE (CAST(at AS INTEGER) - CASE WHEN CAST(at AS INTEGER) > at THEN 1 ELSE 0 END) / 3600 >= :first
  AND (CAST(at AS INTEGER) - CASE WHEN CAST(at AS INTEGER) > at THEN 1 ELSE 0 END) / 3600 <= :last
  AND ((CAST(at AS INTEGER) - CASE WHEN CAST(at AS INTEGER) > at THEN 1 ELSE 0 END) / 3600 <> :last
    OR shuffle < :shuffle)
  AND at >= :since AND at < :until
  AND (CAST(:target AS TEXT) = '' OR target = :target)
  AND (CAST(:input AS TEXT) = '' OR input = :input)
  AND (CAST(:country AS TEXT) = '' OR country = :country)
  AND (CAST(:asn AS INTEGER) < 0 OR asn = :asn)
  AND (CAST(:outcome AS TEXT) = '' OR outcome = :outcome)
  AND (CAST(:experiment AS TEXT) = '' OR experiment = :experiment)
  AND (CAST(:role AS TEXT) = '' OR role = :role)
ORDER BY (CAST(at AS INTEGER) - CASE WHEN CAST(at AS INTEGER) > at THEN 1 ELSE 0 END) / 3600 DESC,
  shuffle DESC LIMIT :limit

-- name: shown_oldest
SELECT seq, id, run, role, lab, experiment, input, target, category, at, started_at, country, asn,
  region, network, version, claim, claim_mechanisms, outcome, mechanisms, stage, confidence,
  ruleset, authority, verdict, claimed_country, claimed_asn, voting, doubts,
  unjudged,
  (CAST(at AS INTEGER) - CASE WHEN CAST(at AS INTEGER) > at THEN 1 ELSE 0 END) / 3600 AS hour,
  shuffle
FROM measurement
WHERE (CAST(at AS INTEGER) - CASE WHEN CAST(at AS INTEGER) > at THEN 1 ELSE 0 END) / 3600 >= :first
  AND (CAST(at AS INTEGER) - CASE WHEN CAST(at AS INTEGER) > at THEN 1 ELSE 0 END) / 3600 <= :last
  AND ((CAST(at AS INTEGER) - CASE WHEN CAST(at AS INTEGER) > at THEN 1 ELSE 0 END) / 3600 <> :first
    OR shuffle > :shuffle)
  AND at >= :since AND at < :until
  AND (CAST(:target AS TEXT) = '' OR target = :target)
  AND (CAST(:input AS TEXT) = '' OR input = :input)
  AND (CAST(:country AS TEXT) = '' OR country = :country)
  AND (CAST(:asn AS INTEGER) < 0 OR asn = :asn)
  AND (CAST(:outcome AS TEXT) = '' OR outcome = :outcome)
  AND (CAST(:experiment AS TEXT) = '' OR experiment = :experiment)
  AND (CAST(:role AS TEXT) = '' OR role = :role)
ORDER BY (CAST(at AS INTEGER) - CASE WHEN CAST(at AS INTEGER) > at THEN 1 ELSE 0 END) / 3600,
  shuffle LIMIT :limit

-- name: forged_seen
-- CROSS has SQLite begin with the chains, which are few: there are many records on any network.
SELECT f.leaf, COALESCE(i.sha256, ''), f.name, m.country, m.asn, MAX(m.network), m.key_id,
  MIN(m.at), MAX(m.at), COUNT(*)
FROM forged f CROSS JOIN measurement m
LEFT JOIN forged i ON i.seq = f.seq AND i.name = f.name AND i.leaf = f.leaf AND i.place = 1
WHERE m.seq = f.seq AND f.place = 0 AND m.role = 'probe' AND m.mechanisms LIKE '%tls.mitm%'
  AND m.voting = 1
  AND NOT EXISTS (SELECT 1 FROM exclusion e WHERE e.key_id = m.key_id AND m.at >= e.since)
  AND m.at >= :since AND m.at < :until
  AND (CAST(:target AS TEXT) = '' OR m.target = :target)
  AND (CAST(:country AS TEXT) = '' OR m.country = :country)
  AND (CAST(:asn AS INTEGER) < 0 OR m.asn = :asn)
GROUP BY f.leaf, COALESCE(i.sha256, ''), f.name, m.country, m.asn, m.key_id
ORDER BY MAX(m.at) DESC LIMIT :limit

-- name: certificate_get
SELECT der FROM certificate WHERE sha256 = :sha256

-- name: rejudge_page
SELECT m.seq, m.key_id, m.id, m.role, m.experiment, m.input, m.target, m.at, m.country, m.asn,
  m.outcome, m.stage, m.verdict, m.ruleset, r.body, m.counted,
  EXISTS (SELECT 1 FROM source s WHERE s.key_id = m.key_id), m.voting
FROM measurement m JOIN raw r ON r.seq = m.seq
WHERE m.seq > :after AND m.at >= :since ORDER BY m.seq LIMIT 200

-- name: retire_page
-- The end of the next page of records. What is due on a page is read before it is locked for deletion.
SELECT MAX(seq) FROM (
  SELECT seq FROM measurement WHERE seq > :after AND seq < :ceiling ORDER BY seq LIMIT 20000
) AS page

-- name: due_records
SELECT seq FROM measurement WHERE seq > :after AND seq <= :last AND at < :before ORDER BY seq

-- name: due_evidence
SELECT m.seq FROM measurement m WHERE m.seq > :after AND m.seq <= :last AND m.at < :before
  AND EXISTS (SELECT 1 FROM raw r WHERE r.seq = m.seq) ORDER BY m.seq

-- name: retire_measurements
DELETE FROM measurement WHERE seq >= :first AND seq <= :last AND at < :before RETURNING seq

-- name: retire_raw
DELETE FROM raw WHERE seq IN (
  SELECT seq FROM measurement WHERE seq >= :first AND seq <= :last AND at < :before
) RETURNING seq

-- name: raw_drop
DELETE FROM raw WHERE seq = :seq

-- name: served_drop
DELETE FROM served WHERE seq = :seq

-- name: forged_drop
DELETE FROM forged WHERE seq = :seq

-- name: certificate_page
SELECT MAX(sha256) FROM (
  SELECT sha256 FROM certificate WHERE sha256 > :after ORDER BY sha256 LIMIT :limit
) AS page

-- name: retire_certificates
-- Certificates of untrusted chains stay as long as the rows of their records.
DELETE FROM certificate WHERE sha256 > :after AND sha256 <= :last AND NOT EXISTS (
  SELECT 1 FROM served s WHERE s.sha256 = certificate.sha256
) AND NOT EXISTS (
  SELECT 1 FROM forged f WHERE f.sha256 = certificate.sha256
)

-- name: retire_observations
DELETE FROM observation WHERE seq IN (
  SELECT seq FROM observation WHERE at < :before LIMIT :limit
) RETURNING seq

-- name: retire_votes
DELETE FROM vote WHERE (hour, key_id, target, experiment) IN (
  SELECT hour, key_id, target, experiment FROM vote WHERE hour <= :hour AND at < :before LIMIT :limit
) RETURNING hour

-- name: retire_newest
DELETE FROM newest WHERE (key_id, input, experiment) IN (
  SELECT key_id, input, experiment FROM newest WHERE at < :before LIMIT :limit
) RETURNING at

-- name: retire_invites
DELETE FROM invite WHERE expires_at < :now OR uses <= 0

-- name: count_all
SELECT (SELECT COUNT(*) FROM measurement), (SELECT COUNT(*) FROM raw),
  (SELECT COUNT(*) FROM probe WHERE role = 'probe'),
  (SELECT COUNT(*) FROM probe WHERE role = 'control'), (SELECT COUNT(*) FROM certificate),
  (SELECT MAX(received_at) FROM measurement)

-- name: uncounted
-- The sums of both rollups and the number of records; equal until records are retired.
SELECT CAST(COALESCE((SELECT SUM(n) FROM total), 0) AS INTEGER),
  CAST(COALESCE((SELECT SUM(n) FROM hourly), 0) AS INTEGER),
  (SELECT COUNT(*) FROM measurement WHERE role = 'probe' AND counted = 1)
