"""Pure views of a record's steps, and of a line's: what rules are written in. No verdict here."""
