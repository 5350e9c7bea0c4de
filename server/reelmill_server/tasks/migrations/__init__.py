"""Migration steps from one version's tables to the next; migrate.py runs them.

A new step is a new file in versions/, named after its revision, with its predecessor as `down_revision`. It must let replicas
of the previous version keep working: add first, remove one version later.
"""
