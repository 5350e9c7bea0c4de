"""Tables of encoders and containers."""
