-- The sites that a network interferes with are summed up from the index alone.
DROP INDEX daily_interfered;
CREATE INDEX daily_interfered ON daily (asn, day, target, n)
WHERE outcome IN ('blocked', 'intercepted', 'throttled');
