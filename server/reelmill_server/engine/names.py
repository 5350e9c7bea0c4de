"""Names of workflows and activities in the engine, which must not change while tasks run."""

CONVERT, ENCODE_UNIT, TRY_SAMPLES, ERASE, WITHDRAW = "convert", "encode_unit", "try_samples", "erase", "withdraw"
RECORD, PRESENT, ROOM, INSPECT = "record_outcome", "present", "room", "inspect"
SHOW_WORKER = "show_worker"
PLACING = "placing"
"""Signal: an attempt is about to publish files."""
PROGRESS = "progress"
"""Signal: progress of an attempt has reached a step to notify of."""
UNITS = "units"
"""Memo of a task that is encoded in chunks: their number, and how many are complete; a search before them counts as as many as
take the same work."""
