"""One child process per attempt: the parent's side (child, workspace), the words between (messages), the child's (run)."""
