"""Notifications about tasks: their messages, and one module for each channel."""
