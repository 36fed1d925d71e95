"""Pages for people: templates, and what every page made of them keeps."""
