"""Telling others of tasks: what is said (message), and one file for each channel."""
