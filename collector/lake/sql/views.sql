-- What every question builds on. `counted` has the looks that count: those of probes whose votes
-- count, at listed sites, with none set aside and none from a laboratory.
CREATE OR REPLACE TEMPORARY VIEW counted AS
SELECT *,
  outcome IN ('blocked', 'intercepted', 'throttled') AS interfered,
  outcome IN ('blocked', 'intercepted', 'throttled', 'ok', 'refused') AS conclusive
FROM measurements
WHERE role = 'probe' AND voting AND NOT excluded AND NOT lab AND standing <> 'stranger'
  AND target <> 'unlisted' AND outcome <> 'none';
