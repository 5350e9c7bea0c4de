"""Finds faces and licence plates and blurs them: needs the extra `privacy` (docs/adr/0009-privacy-detectors.md)."""
