"""The explorer: pages for people, made from the same reads as the API."""
