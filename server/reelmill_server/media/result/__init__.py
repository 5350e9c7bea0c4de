"""Read outputs back, and describe what was written."""
