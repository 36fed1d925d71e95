"""Events: what happened to a target on a network, since when, and whether it is over. Pure."""
