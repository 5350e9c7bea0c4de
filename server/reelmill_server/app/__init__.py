"""Composition root: the only package that connects the others with each other."""
