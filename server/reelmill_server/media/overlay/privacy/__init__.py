"""Find faces and license plates and blur them: needs the extra `privacy` (docs/adr/0010-privacy-detectors.md)."""
