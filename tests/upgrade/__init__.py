"""Upgrades of a cluster at work. `make upgrade-test`."""
