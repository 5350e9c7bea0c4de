"""Write outputs: the thread of each, its queue and its file."""
