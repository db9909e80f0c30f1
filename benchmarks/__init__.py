"""Measures the platform and its peers: `make bench`, or `make bench-quick`."""
