"""The throughput server: TLS under any name, incompressible bytes, no state, no relaying."""
