-- Measurements of OONI's clients as they wrote them but for addresses, where the operator keeps them
-- beside the records that were made of them.
CREATE TABLE ooni_original (
  uid TEXT PRIMARY KEY,
  key_id TEXT NOT NULL,
  id TEXT NOT NULL,
  received_at INTEGER NOT NULL,
  body BYTEA NOT NULL
);
CREATE INDEX ooni_original_received ON ooni_original (received_at);
CREATE INDEX ooni_original_key ON ooni_original (key_id);
