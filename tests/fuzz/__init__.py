"""Broken media by the thousand, read by real children: `make fuzz`, and a part of it in `.ci/run`."""
