"""The child process: the only one that opens media."""
