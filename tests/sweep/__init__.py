"""A sweep over formats: every container with every codec that the judge can write. `make sweep`."""
