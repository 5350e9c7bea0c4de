"""Plain data that all parts share: frozen dataclasses, standard library only."""
