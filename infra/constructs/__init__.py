"""The boxes of the architecture, one module each."""
