"""What the collector speaks with other projects: optional, and off by default."""
