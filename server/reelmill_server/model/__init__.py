"""Plain data that all packages share: frozen dataclasses that need nothing but the standard library and pydantic."""
