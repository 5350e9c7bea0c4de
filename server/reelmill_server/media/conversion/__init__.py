"""Run a plan: read and decode the sources once, feed every output."""
