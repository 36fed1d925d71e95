-- name: place_troubled
INSERT INTO event_place (target, country, asn, looks, done, complete)
VALUES (:target, :country, :asn, 1, 0, 0)
ON CONFLICT (target, country, asn) DO UPDATE SET looks = event_place.looks + 1

-- name: place_looked_at
UPDATE event_place SET looks = looks + 1
WHERE target = :target AND country = :country AND asn = :asn

-- name: places_of_key_due
UPDATE event_place SET looks = looks + 1 WHERE (target, country, asn) IN (
  SELECT v.target, v.country, v.asn FROM vote v WHERE v.key_id = :key_id AND v.at >= :since
  UNION SELECT '', s.country, s.asn FROM series s WHERE s.key_id = :key_id AND s.at >= :since
)

-- name: places_of_key_troubled
INSERT INTO event_place (target, country, asn, looks, done, complete)
SELECT target, country, asn, 1, 0, 0 FROM (
  SELECT v.target, v.country, v.asn FROM vote v WHERE v.key_id = :key_id AND v.at >= :since
    AND v.outcome IN ('blocked', 'intercepted', 'throttled') AND v.country <> 'ZZ'
  UNION SELECT '', s.country, s.asn FROM series s WHERE s.key_id = :key_id AND s.at >= :since
    AND s.experiment = 'connectivity' AND s.country <> 'ZZ'
    AND s.outcome IN ('blocked', 'intercepted', 'throttled')
) AS seen WHERE true
ON CONFLICT (target, country, asn) DO NOTHING

-- name: places_of_key_incomplete
UPDATE event_place SET complete = :now WHERE (target, country, asn) IN (
  SELECT v.target, v.country, v.asn FROM vote v WHERE v.key_id = :key_id
  UNION SELECT '', s.country, s.asn FROM series s WHERE s.key_id = :key_id
)

-- name: places_all_due
UPDATE event_place SET looks = looks + 1

-- name: places_all_troubled
INSERT INTO event_place (target, country, asn, looks, done, complete)
SELECT target, country, asn, 1, 0, 0 FROM (
  SELECT v.target, v.country, v.asn FROM vote v
  WHERE v.outcome IN ('blocked', 'intercepted', 'throttled') AND v.country <> 'ZZ'
  UNION SELECT '', s.country, s.asn FROM series s
  WHERE s.experiment = 'connectivity' AND s.country <> 'ZZ'
    AND s.outcome IN ('blocked', 'intercepted', 'throttled')
) AS seen WHERE true
ON CONFLICT (target, country, asn) DO NOTHING

-- name: places_due
SELECT target, country, asn, looks, complete FROM event_place
WHERE looks <> done AND (target, country, asn) > (:target, :country, :asn)
ORDER BY target, country, asn LIMIT :limit

-- name: place_state
SELECT looks, complete FROM event_place
WHERE target = :target AND country = :country AND asn = :asn

-- name: place_done
UPDATE event_place SET done = :looks
WHERE target = :target AND country = :country AND asn = :asn

-- name: place_settled
-- No interference within reach and no event: looks there need no attention.
DELETE FROM event_place WHERE target = :target AND country = :country AND asn = :asn
  AND looks = :looks

-- name: looks_at
SELECT v.at, v.id, v.key_id, v.experiment, v.outcome, v.mechanisms, v.authority, v.confidence
FROM vote v
WHERE v.target = :target AND v.country = :country AND v.asn = :asn AND v.at >= :since
  AND NOT EXISTS (SELECT 1 FROM exclusion e WHERE e.key_id = v.key_id AND v.at >= e.since)
ORDER BY v.at, v.id

-- name: line_looks_at
-- A literal with a point is a decimal on PostgreSQL.
SELECT s.at, s.id, s.key_id, s.experiment, s.outcome, s.mechanisms, '', CAST(0.9 AS DOUBLE PRECISION)
FROM series s
WHERE s.experiment = 'connectivity' AND s.country = :country AND (s.asn = :asn OR :asn = 0)
  AND s.at >= :since
  AND NOT EXISTS (SELECT 1 FROM exclusion e WHERE e.key_id = s.key_id AND s.at >= e.since)
ORDER BY s.at, s.id

-- name: looks_between
SELECT v.at, v.id, v.key_id, v.experiment, v.outcome, v.mechanisms, v.authority, v.confidence
FROM vote v
WHERE v.target = :target AND v.country = :country AND v.asn = :asn AND v.at >= :since
  AND v.at <= :until
  AND NOT EXISTS (SELECT 1 FROM exclusion e WHERE e.key_id = v.key_id AND v.at >= e.since)
ORDER BY v.at, v.id LIMIT :limit

-- name: line_looks_between
-- With the network of each, for events of a country as a whole (ASN 0).
SELECT s.at, s.id, s.key_id, s.experiment, s.outcome, s.mechanisms, '', CAST(0.9 AS DOUBLE PRECISION), s.asn
FROM series s
WHERE s.experiment = 'connectivity' AND s.country = :country AND (s.asn = :asn OR :asn = 0)
  AND s.at >= :since AND s.at <= :until
  AND NOT EXISTS (SELECT 1 FROM exclusion e WHERE e.key_id = s.key_id AND s.at >= e.since)
ORDER BY s.at, s.id LIMIT :limit

-- name: reasons_at
SELECT DISTINCT e.reason FROM exclusion e WHERE e.key_id IN (
  SELECT v.key_id FROM vote v
  WHERE v.target = :target AND v.country = :country AND v.asn = :asn AND v.at >= :since
  UNION SELECT s.key_id FROM series s
  WHERE :target = '' AND s.country = :country AND s.asn = :asn AND s.at >= :since
) ORDER BY e.reason

-- name: oldest_vote
SELECT MIN(hour) FROM vote

-- name: events_at
SELECT id, kind, target, country, asn, state, began_after, began_by, ended_after, ended_by,
  last_seen_at, last_look_at, confirmed_at, opened_at, published_at, mechanisms, authority, agree,
  able, confidence, evidence, sources, reason, wave, revision, category
FROM event WHERE target = :target AND country = :country AND asn = :asn

-- name: events_began_between
SELECT id, kind, target, country, asn, state, began_after, began_by, ended_after, ended_by,
  last_seen_at, last_look_at, confirmed_at, opened_at, published_at, mechanisms, authority, agree,
  able, confidence, evidence, sources, reason, wave, revision, category
FROM event WHERE began_by >= :first AND began_by <= :last AND confirmed_at IS NOT NULL
  AND state <> 'withdrawn' AND target <> ''
ORDER BY began_by, id

-- name: events_all
SELECT id, kind, target, country, asn, state, began_after, began_by, ended_after, ended_by,
  last_seen_at, last_look_at, confirmed_at, opened_at, published_at, mechanisms, authority, agree,
  able, confidence, evidence, sources, reason, wave, revision, category
FROM event ORDER BY began_by, id

-- name: event_by_id
SELECT id, kind, target, country, asn, state, began_after, began_by, ended_after, ended_by,
  last_seen_at, last_look_at, confirmed_at, opened_at, published_at, mechanisms, authority, agree,
  able, confidence, evidence, sources, reason, wave, revision, category
FROM event WHERE id = :id

-- name: events_page
-- Newest first. An event matches a time when it lasted within it; what is not asked for matches all.
SELECT id, kind, target, country, asn, state, began_after, began_by, ended_after, ended_by,
  last_seen_at, last_look_at, confirmed_at, opened_at, published_at, mechanisms, authority, agree,
  able, confidence, evidence, sources, reason, wave, revision, category
FROM event
WHERE (began_by < :before OR (began_by = :before AND id < :before_id))
  AND (:kind = '' OR kind = :kind) AND (:state = '' OR state = :state)
  AND (:target = '' OR target = :target) AND (:country = '' OR country = :country)
  AND (:asn = -1 OR asn = :asn) AND (:wave = '' OR wave = :wave)
  AND (:category = '' OR category = :category)
  AND (ended_by IS NULL OR ended_by >= :since) AND began_by <= :until
ORDER BY began_by DESC, id DESC LIMIT :limit

-- name: events_shown
-- The same in the order that the public is told: by the hour of the beginning, and by the id, which is
-- random. An event matches a time when it lasted within it; what is not asked for matches all.
SELECT id, kind, target, country, asn, state, began_after, began_by, ended_after, ended_by,
  last_seen_at, last_look_at, confirmed_at, opened_at, published_at, mechanisms, authority, agree,
  able, confidence, evidence, sources, reason, wave, revision, category
FROM event
WHERE (CAST(began_by AS INTEGER)
    - CASE WHEN CAST(began_by AS INTEGER) > began_by THEN 1 ELSE 0 END) / 3600
    <= :before
  AND ((CAST(began_by AS INTEGER)
      - CASE WHEN CAST(began_by AS INTEGER) > began_by THEN 1 ELSE 0 END) / 3600 <> :before
    OR id < :before_id)
  AND (:kind = '' OR kind = :kind) AND (:state = '' OR state = :state)
  AND (:target = '' OR target = :target) AND (:country = '' OR country = :country)
  AND (:asn = -1 OR asn = :asn) AND (:wave = '' OR wave = :wave)
  AND (:category = '' OR category = :category)
  AND (ended_by IS NULL OR ended_by >= :since) AND began_by <= :until
ORDER BY (CAST(began_by AS INTEGER)
    - CASE WHEN CAST(began_by AS INTEGER) > began_by THEN 1 ELSE 0 END) / 3600
  DESC, id DESC LIMIT :limit

-- name: events_of_wave
SELECT id, kind, target, country, asn, state, began_after, began_by, ended_after, ended_by,
  last_seen_at, last_look_at, confirmed_at, opened_at, published_at, mechanisms, authority, agree,
  able, confidence, evidence, sources, reason, wave, revision, category
FROM event WHERE wave = :wave AND state <> 'withdrawn' ORDER BY began_by, id

-- name: detected_places
-- Where there are events that not only measurements of targets show, and that may change yet.
SELECT DISTINCT target, country, asn FROM event
WHERE sources <> 'looks' AND (ended_by IS NULL OR ended_by >= :since)

-- name: event_put
INSERT INTO event (id, kind, target, country, asn, state, began_after, began_by, ended_after,
  ended_by, last_seen_at, last_look_at, confirmed_at, opened_at, published_at, mechanisms,
  authority, agree, able, confidence, evidence, sources, reason, wave, revision, category)
VALUES (:id, :kind, :target, :country, :asn, :state, :began_after, :began_by, :ended_after,
  :ended_by, :last_seen_at, :last_look_at, :confirmed_at, :opened_at, :published_at, :mechanisms,
  :authority, :agree, :able, :confidence, :evidence, :sources, :reason, :wave, :revision, :category)
ON CONFLICT (id) DO UPDATE SET state = excluded.state, began_after = excluded.began_after,
  began_by = excluded.began_by, ended_after = excluded.ended_after, ended_by = excluded.ended_by,
  last_seen_at = excluded.last_seen_at, last_look_at = excluded.last_look_at,
  confirmed_at = excluded.confirmed_at, published_at = excluded.published_at,
  mechanisms = excluded.mechanisms, authority = excluded.authority, agree = excluded.agree,
  able = excluded.able, confidence = excluded.confidence, evidence = excluded.evidence,
  sources = excluded.sources, reason = excluded.reason, wave = excluded.wave,
  revision = excluded.revision, category = excluded.category

-- name: event_revision_add
INSERT INTO event_revision (event, number, at, what) VALUES (:event, :number, :at, :what)
ON CONFLICT (event, number) DO NOTHING

-- name: event_history
SELECT number, at, what FROM event_revision WHERE event = :id ORDER BY number

-- name: event_changes
-- The newest revisions of events that were confirmed at some time.
SELECT e.id, e.kind, e.target, e.country, e.asn, e.state, e.began_after, e.began_by, e.ended_after,
  e.ended_by, e.last_seen_at, e.last_look_at, e.confirmed_at, e.opened_at, e.published_at,
  e.mechanisms, e.authority, e.agree, e.able, e.confidence, e.evidence, e.sources, e.reason, e.wave,
  e.revision, e.category, r.number, r.at, r.what
FROM event e JOIN event_revision r ON r.event = e.id
WHERE e.confirmed_at IS NOT NULL AND (:kind = '' OR e.kind = :kind)
  AND (:target = '' OR e.target = :target) AND (:country = '' OR e.country = :country)
  AND (:asn = -1 OR e.asn = :asn) AND (:category = '' OR e.category = :category)
  AND r.what NOT LIKE 'measurements that came later%' AND r.what <> 'opened as suspected'
ORDER BY r.at DESC, e.id DESC, r.number DESC LIMIT :limit

-- name: event_counts
-- How many are confirmed now, and how many ever came as far as each state.
SELECT kind, country, asn, SUM(CASE WHEN state = 'confirmed' THEN 1 ELSE 0 END), COUNT(*),
  SUM(CASE WHEN confirmed_at IS NOT NULL THEN 1 ELSE 0 END),
  SUM(CASE WHEN state = 'ended' THEN 1 ELSE 0 END),
  SUM(CASE WHEN state = 'withdrawn' THEN 1 ELSE 0 END)
FROM event GROUP BY kind, country, asn

-- name: waves_page
-- Newest first; a wave is at least two events.
SELECT wave, MIN(began_by) FROM event
WHERE wave <> '' AND state <> 'withdrawn' GROUP BY wave
HAVING COUNT(*) > 1 AND (MIN(began_by) < :before OR (MIN(began_by) = :before AND wave < :before_id))
  AND MIN(began_by) >= :since AND MIN(began_by) <= :until
ORDER BY MIN(began_by) DESC, wave DESC LIMIT :limit

-- name: waves_shown
-- The same in the order that the public is told.
SELECT wave, hour FROM (
  SELECT wave, MIN(began_by) AS began, MIN(
    (CAST(began_by AS INTEGER)
        - CASE WHEN CAST(began_by AS INTEGER) > began_by THEN 1 ELSE 0 END) / 3600
  ) AS hour
  FROM event WHERE wave <> '' AND state <> 'withdrawn' GROUP BY wave HAVING COUNT(*) > 1
) AS seen
WHERE began >= :since AND began <= :until
  AND hour <= :before AND (hour <> :before OR wave < :before_id)
ORDER BY hour DESC, wave DESC LIMIT :limit

-- name: subjects_active
-- What is going on: by kind and site, or by kind and country for events of lines.
SELECT kind, target, country, COUNT(*),
  CAST(SUM(CASE WHEN state = 'confirmed' THEN 1 ELSE 0 END) AS INTEGER),
  CAST(SUM(agree) AS INTEGER), MAX(began_by)
FROM event WHERE state IN ('suspected', 'confirmed') GROUP BY kind, target, country

-- name: events_active_of
SELECT id, kind, target, country, asn, state, began_after, began_by, ended_after, ended_by,
  last_seen_at, last_look_at, confirmed_at, opened_at, published_at, mechanisms, authority, agree,
  able, confidence, evidence, sources, reason, wave, revision, category
FROM event WHERE target = :target AND country = :country AND kind = :kind
  AND state IN ('suspected', 'confirmed') ORDER BY began_by, id LIMIT :limit

-- name: changes_since
SELECT SUM(CASE WHEN began_by >= :day THEN 1 ELSE 0 END),
  SUM(CASE WHEN ended_by >= :day THEN 1 ELSE 0 END),
  SUM(CASE WHEN began_by >= :week THEN 1 ELSE 0 END),
  SUM(CASE WHEN ended_by >= :week THEN 1 ELSE 0 END)
FROM event WHERE state <> 'withdrawn' AND (began_by >= :week OR ended_by >= :week)

-- name: events_began_newest
SELECT id, kind, target, country, asn, state, began_after, began_by, ended_after, ended_by,
  last_seen_at, last_look_at, confirmed_at, opened_at, published_at, mechanisms, authority, agree,
  able, confidence, evidence, sources, reason, wave, revision, category
FROM event WHERE state <> 'withdrawn' AND began_by >= :since ORDER BY began_by DESC, id DESC LIMIT :limit

-- name: events_ended_newest
SELECT id, kind, target, country, asn, state, began_after, began_by, ended_after, ended_by,
  last_seen_at, last_look_at, confirmed_at, opened_at, published_at, mechanisms, authority, agree,
  able, confidence, evidence, sources, reason, wave, revision, category
FROM event WHERE state = 'ended' AND ended_by >= :since ORDER BY ended_by DESC, id DESC LIMIT :limit
