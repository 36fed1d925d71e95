"""What certificates say and prove, judged apart from any handshake: pure, given bytes and roots."""
