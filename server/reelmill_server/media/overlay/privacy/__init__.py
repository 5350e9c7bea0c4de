"""Finds faces and licence plates and blurs them: needs the extra `privacy` (docs/adr/0010-privacy-detectors.md)."""
