"""A child that is told to stop."""

import sys
from multiprocessing import Pipe

import pytest

from reelmill_server.media.output.base import Stopped
from reelmill_server.model.capability import Limits
from reelmill_server.worker import messages
from reelmill_server.worker.child import context


def test_whoever_waits_for_an_answer_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that is deferred waits until its first child has ended, which waits for an answer to its plan."""
    monkeypatch.setattr(context, "_leave", sys.exit)
    monkeypatch.setattr(context, "REPORT_SECONDS", 1e6)
    ours, theirs = Pipe()
    attempt = context.Attempt(theirs, messages.Assignment("plan", Limits()))
    ours.send_bytes(messages.TO_CHILD.dump_json(messages.Stop()))
    ours.close()
    with pytest.raises(SystemExit):
        attempt._listen()
    with pytest.raises(Stopped):
        attempt.receive_answer()
    assert attempt.stop.is_set()
    theirs.close()
