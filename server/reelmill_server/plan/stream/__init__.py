"""Plan streams: which are taken, how they are encoded or copied."""
