"""One run: from settings and targets to judged, stored and uploaded records."""
