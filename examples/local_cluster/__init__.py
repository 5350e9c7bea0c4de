"""A whole cluster on one machine, each part a separate process: for the demonstration and for tests."""
