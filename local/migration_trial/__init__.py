"""Judges the service's migrations on a real MySQL server, under load, next to the released code."""
