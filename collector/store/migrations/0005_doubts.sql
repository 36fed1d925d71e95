-- What the collector doubts about a record's evidence, as words; such a record has no vote.
ALTER TABLE measurement ADD COLUMN doubts TEXT NOT NULL DEFAULT '';
