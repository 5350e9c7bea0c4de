"""Decide what runs for a request, given what is in its sources: pure functions over plain data, no I/O."""
