"""What OONI's clients speak: messages, names, targets, and answers of a test helper."""
