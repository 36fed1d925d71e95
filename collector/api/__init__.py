"""What probes, controls and researchers ask over HTTP: one file a path, one guard for all."""
