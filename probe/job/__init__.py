"""From settings and arguments to a run with real tools, once or again and again."""
