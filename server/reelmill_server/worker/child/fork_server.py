"""What a fork server does when it starts: it imports this module. Children would find the server's addresses in its memory."""

from reelmill_server.closed_memory import close_memory

close_memory()
