"""The steps that bring a database from one version's tables to the next; migrate.py runs them.

A new step is a new file in versions/, named after its revision, that names the step before it as `down_revision`.
It is written so that replicas of the version before keep working beside it: add first, remove a version later.
"""
