"""Everything that is said to collectors and kept for them: the only way anything leaves."""
