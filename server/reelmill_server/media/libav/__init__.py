"""Shared use of libav: encoders, filter graphs, timestamps, colors, errors, its log."""
