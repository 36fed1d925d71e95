"""Pure views of a record's steps and of a line's, for the rules. No verdict is made here."""
