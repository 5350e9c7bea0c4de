"""Prepare a fork server, which imports this module when it starts. Children would find the server's addresses in its memory."""

from reelmill_server.closed_memory import close_memory
from reelmill_server.worker.child.oom_score import be_killed_first

be_killed_first()  # before: the memory of a process that is closed belongs to root
close_memory()
