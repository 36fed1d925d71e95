"""When what probes say adds up to an event: pure functions over series, and their readers."""
