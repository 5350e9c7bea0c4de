"""Storage of sources and artifacts: one module per family of URI schemes."""
