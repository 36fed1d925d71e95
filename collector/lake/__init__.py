"""A lake: what a collector has seen, as Parquet files that any engine reads."""
