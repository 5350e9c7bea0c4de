"""Prepare a fork server, which imports this module when it starts, before PyAV. Children would find the server's addresses in
its memory.
"""

from reelmill_server.closed_memory import close_memory
from reelmill_server.worker.child.oom_score import be_killed_first
from reelmill_server.worker.child.system_lame import use_system_lame

be_killed_first()  # before: the memory of a process that is closed belongs to root
close_memory()
use_system_lame()
