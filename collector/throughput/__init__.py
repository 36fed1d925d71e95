"""The bulk port: TLS with any name, incompressible bytes, no state, no use as a relay."""
