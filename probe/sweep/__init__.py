"""The parts of one run, from the first look to finished records."""
