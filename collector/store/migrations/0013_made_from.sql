-- Whose measurement a record was made from (`origin` of the record), so that every export can say it.
ALTER TABLE measurement ADD COLUMN made_from TEXT NOT NULL DEFAULT '';
