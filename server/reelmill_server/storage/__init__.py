"""Where sources are fetched from and artifacts are published to: one file per family of URI schemes."""
