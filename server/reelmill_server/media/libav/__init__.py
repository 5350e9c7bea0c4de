"""What libav needs said once: encoders, filter graphs, timestamps, colors, its log."""
