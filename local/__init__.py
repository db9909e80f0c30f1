"""The platform on one machine: emulated AWS, a real database, the real deploy tools."""
