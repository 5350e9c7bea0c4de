"""Decides what will run, from the request and what is in the sources: pure functions over plain data, no I/O."""
