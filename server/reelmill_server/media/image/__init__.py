"""Snapshots, sprite sheets and animations."""
