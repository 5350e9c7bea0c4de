"""What workflows and activities are called in the engine: names that must not change while tasks run."""

CONVERT, ENCODE_UNIT, ERASE = "convert", "encode_unit", "erase"
RECORD, PRESENT, INSPECT = "record_outcome", "present", "inspect"
UNITS = "units"
"""The memo of a task that is carried out in units: how many there are, and how many are made."""
