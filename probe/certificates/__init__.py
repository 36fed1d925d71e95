"""Parse certificates and verify chains: pure functions of bytes and roots."""
