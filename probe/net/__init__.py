"""The only code that opens a measured socket: it reports what came and how long it took."""
