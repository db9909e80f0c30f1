"""Checks a new version of the service before it gets traffic."""
