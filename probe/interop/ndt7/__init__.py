"""ndt7, the speed test of Measurement Lab: what its two sides say, and the probe's side of it."""
