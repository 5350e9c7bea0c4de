"""A whole cluster on one machine, each part a process of its own: for the demonstration and for tests."""
