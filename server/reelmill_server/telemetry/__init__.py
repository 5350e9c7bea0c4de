"""What the server says of itself: logs, metrics, and the HTTP pages that show whether it lives and is ready."""
