"""Measures the platform beside its peers: `make bench`, or `make bench-quick`."""
