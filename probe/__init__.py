"""Measure what a network does to a list of sites, from a home machine."""

__version__ = "0.1.0"
