"""Open, probe, seek and read sources."""
