-- name: export_page
SELECT seq, id, run, key_id, voting, counted, doubts, unjudged, role, lab, experiment, input, target,
  category, at, started_at, received_at, country, asn, region, network, claimed_country,
  claimed_asn, version, outcome, mechanisms, stage, confidence, verdict, ruleset, authority, claim,
  claim_mechanisms, rate_target, rate_reference, anchors_foreign, anchors_domestic, line_faults,
  line_round_trip, line_loss, made_from
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

-- name: export_count
SELECT COUNT(*) FROM measurement
WHERE seq >= :floor AND at >= :since AND at < :until
  AND (CAST(:target AS TEXT) = '' OR target = :target)
  AND (CAST(:input AS TEXT) = '' OR input = :input)
  AND (CAST(:country AS TEXT) = '' OR country = :country)
  AND (CAST(:asn AS INTEGER) < 0 OR asn = :asn)
  AND (CAST(:outcome AS TEXT) = '' OR outcome = :outcome)
  AND (CAST(:experiment AS TEXT) = '' OR experiment = :experiment)
  AND (CAST(:role AS TEXT) = '' OR role = :role)

-- name: repeated_between
-- Records whose id an earlier one of another key has.
SELECT seq FROM measurement m WHERE seq > :after AND seq <= :last
  AND EXISTS (SELECT 1 FROM measurement e WHERE e.id = m.id AND e.seq < m.seq)

-- name: raw_between
SELECT seq, body FROM raw WHERE seq > :after AND seq <= :last

-- name: served_between
SELECT s.seq, c.sha256, c.der FROM served s JOIN certificate c ON c.sha256 = s.sha256
WHERE s.seq > :after AND s.seq <= :last

-- name: public_releases_drop
DELETE FROM meta WHERE name LIKE 'release public/%' AND name <> :name
