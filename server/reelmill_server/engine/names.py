"""What workflows and activities are called in the engine: names that must not change while tasks run."""

CONVERT, ENCODE_UNIT, ERASE, WITHDRAW = "convert", "encode_unit", "erase", "withdraw"
RECORD, PRESENT, INSPECT = "record_outcome", "present", "inspect"
PLACING = "placing"
"""The signal of an attempt that is about to place files."""
UNITS = "units"
"""The memo of a task that is carried out in units: how many there are, and how many are made."""
