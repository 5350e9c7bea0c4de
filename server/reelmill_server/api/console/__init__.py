"""The console: pages that show tasks and workers, over the RPCs that every other caller uses (ADR 25)."""
