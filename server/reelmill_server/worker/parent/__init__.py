"""The worker process: starts children, serves them, publishes what they made."""
