"""Every honored field of the request: a task that uses it, and what another FFmpeg must then find in the files."""
