"""One module for each gap of ministack that this platform would notice."""
