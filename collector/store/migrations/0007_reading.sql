-- Indexes for what readers ask: how many keys measure on a network, and the history of one target.

CREATE INDEX measurement_network ON measurement (country, asn, at, key_id)
WHERE role = 'probe' AND voting = 1;
CREATE INDEX hourly_target ON hourly (target, hour);
