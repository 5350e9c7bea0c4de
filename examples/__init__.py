"""Examples, and what runs a whole service on one machine."""
