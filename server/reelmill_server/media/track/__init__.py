"""What one output does with one stream of its own."""
