"""Examples, and helpers that run a whole service on one machine."""
