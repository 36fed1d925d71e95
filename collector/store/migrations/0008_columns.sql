-- Numbers of a record that outlive its evidence: rates, shares of the line's anchors that answered, and
-- what the run knew of its line. `line_faults` are words, separated by blanks. NULL is not measured.
ALTER TABLE measurement ADD COLUMN rate_target DOUBLE PRECISION;
ALTER TABLE measurement ADD COLUMN rate_reference DOUBLE PRECISION;
ALTER TABLE measurement ADD COLUMN anchors_foreign DOUBLE PRECISION;
ALTER TABLE measurement ADD COLUMN anchors_domestic DOUBLE PRECISION;
ALTER TABLE measurement ADD COLUMN line_faults TEXT NOT NULL DEFAULT '';
ALTER TABLE measurement ADD COLUMN line_round_trip DOUBLE PRECISION;
ALTER TABLE measurement ADD COLUMN line_loss DOUBLE PRECISION;
UPDATE measurement SET (rate_target, rate_reference, anchors_foreign, anchors_domestic) = (
  SELECT s.rate_target, s.rate_reference, s.foreign_alive, s.domestic_alive FROM series s
  WHERE s.key_id = measurement.key_id AND s.id = measurement.id
) WHERE experiment IN ('throttle', 'speed', 'connectivity') AND EXISTS (
  SELECT 1 FROM series s WHERE s.key_id = measurement.key_id AND s.id = measurement.id
);
