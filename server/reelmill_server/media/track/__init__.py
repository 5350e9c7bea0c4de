"""Tracks: the work of one output on one of its streams."""
