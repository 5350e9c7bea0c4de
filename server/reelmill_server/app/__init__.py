"""The composition root: the only package that knows which adapter stands behind which part."""
