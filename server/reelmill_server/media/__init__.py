"""Everything that touches libav; only ever imported in a child process."""
