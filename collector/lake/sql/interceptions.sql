-- Certificates that were served instead of a site's own, by what signed them and where.
-- since: first day. until: the day after the last. country: all when empty.
SELECT s.authority, s.proof, s.intermediate, MAX(c.sha1) AS sha1, MAX(c.subject) AS subject,
  MAX(c.issuer) AS issuer, MAX(c.serial) AS serial, MAX(c.not_before) AS not_before,
  MAX(c.not_after) AS not_after, m.country, m.asn, COUNT(DISTINCT s.leaf) AS leaves,
  COUNT(DISTINCT m.target) AS sites, COUNT(DISTINCT m.key) AS probes,
  MIN(s.measured_at) AS first_seen, MAX(s.measured_at) AS last_seen
FROM steps s
JOIN counted m ON m.dt = s.dt AND m.country = s.country AND m.id = s.id
LEFT JOIN certificates c
  ON c.dt = s.dt AND c.country = s.country AND c.sha256 = s.intermediate
WHERE m.outcome = 'intercepted' AND s.op = 'tls' AND s.role = 'target' AND s.trusted = FALSE
  AND s.dt >= CAST(:since AS DATE) AND s.dt < CAST(:until AS DATE)
  AND (:country = '' OR s.country = :country)
GROUP BY s.authority, s.proof, s.intermediate, m.country, m.asn
ORDER BY m.country, m.asn, s.authority, s.intermediate
