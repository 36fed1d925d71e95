"""Records out: one module for each section of OONI's measurement."""
