"""Judges what a plan does to data before it is applied."""
