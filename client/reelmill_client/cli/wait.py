"""Wait for tasks with their progress on the screen, and the handling of Ctrl-C meanwhile."""

import queue
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import typer

from reelmill.v1.task_pb2 import Task
from reelmill_client.channel import DEFAULT_PROJECT, DEFAULT_TARGET
from reelmill_client.cli import tables
from reelmill_client.cli.failures import EXIT_INTERRUPTED, EXIT_OK, exit_code, report
from reelmill_client.cli.session import Session
from reelmill_client.client import Client
from reelmill_client.errors import ReelmillError, TaskEnded, raise_unless_succeeded
from reelmill_client.labels import TaskLabel, task_label
from reelmill_client.progress import Reporter, choose_reporter
from reelmill_client.watch import is_final

_QUESTION = "\nPress Enter to leave it running, or c and Enter to cancel it: "

# On some systems Ctrl-C is noticed only between blocking reads.
_POLL_SECONDS = 0.5


def wait_for(
    session: Session,
    client: Client,
    task_ids: Sequence[str],
    *,
    project: str,
    offer_cancel: bool,
    labels: Mapping[str, TaskLabel] | None = None,
) -> None:
    """Show tasks until they end, then their results; exits with the highest exit code unless all succeeded.

    `labels` holds names of tasks' files, by task ID; those that are missing are asked of the server when a bar needs them.
    Ctrl-C leaves the tasks running and exits with 130; with `offer_cancel` and a user at the terminal it first asks whether to
    cancel them.
    """
    wait = _TaskWait(session, client, project, task_ids, offer_cancel, _Labels(client, project, labels or {}))
    wait.run()
    codes = [wait.finish(task_id) for task_id in wait.task_ids]
    if any(codes):
        raise typer.Exit(max(codes))


@dataclass(frozen=True)
class _WatchEnd:
    """End of a watch: the final state was already shown, or there is an error."""

    task_id: str
    error: ReelmillError | None = None


@dataclass(frozen=True)
class _Outage:
    """The connection broke, or is back (no error)."""

    error: ReelmillError | None


@dataclass(frozen=True)
class _Interrupt:
    """Ctrl-C was pressed."""


_Event = Task | _WatchEnd | _Outage | _Interrupt


class _TaskWait:
    """Wait for some tasks.

    Ctrl-C is queued as an event so that it never interrupts drawing; it raises KeyboardInterrupt only while a question is open
    or its answer is being carried out.
    """

    def __init__(
        self,
        session: Session,
        client: Client,
        project: str,
        task_ids: Sequence[str],
        offer_cancel: bool,
        label_of: Callable[[str], TaskLabel],
    ) -> None:
        self._session = session
        self._client = client
        self._project = project
        self.task_ids = list(dict.fromkeys(task_ids))
        self._may_ask = offer_cancel and session.interactive
        self._label_of = label_of
        self._events: queue.SimpleQueue[_Event] = queue.SimpleQueue()
        self._outages = _Outages(session.server)
        self._raise_on_interrupt = False
        self._unfinished = set(self.task_ids)
        self._finals: dict[str, Task] = {}
        self._errors: dict[str, ReelmillError] = {}

    def run(self) -> None:
        """Watch all tasks until they end."""
        named = len(self.task_ids) > 1
        reporter = choose_reporter(self._session.err, as_json=self._session.json, named=named, label_of=self._label_of)
        with _on_ctrl_c(self._ctrl_c), reporter:
            for task_id in self.task_ids:
                threading.Thread(target=self._watch, args=(task_id,), daemon=True, name=f"watch {task_id}").start()
            while self._unfinished:
                self._handle(self._next(), reporter)

    def finish(self, task_id: str) -> int:
        """Print how one task ended and return its exit code."""
        if task_id in self._errors:
            report(self._session, self._errors[task_id])
            return exit_code(self._errors[task_id])
        return finish_task(self._session, self._finals[task_id])

    def _watch(self, task_id: str) -> None:
        """Queue the states of one task; runs in a thread of its own."""
        error: ReelmillError | None = None
        try:
            for task in self._client.watch(task_id, project=self._project, on_outage=self._outage):
                self._events.put(task)
        except ReelmillError as raised:
            error = raised
        finally:
            self._events.put(_WatchEnd(task_id, error))

    def _outage(self, error: ReelmillError | None) -> None:
        self._events.put(_Outage(error))

    def _ctrl_c(self) -> None:
        """Handle SIGINT; runs in the main thread, between any two of its instructions."""
        if self._raise_on_interrupt:
            raise KeyboardInterrupt
        self._events.put(_Interrupt())

    def _next(self) -> _Event:
        while True:
            try:
                return self._events.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue

    def _handle(self, event: _Event, reporter: Reporter) -> None:
        if isinstance(event, _Interrupt):
            self._interrupted(reporter)
        elif isinstance(event, _Outage):
            self._outages.show(event.error, reporter)
        elif isinstance(event, _WatchEnd):
            self._unfinished.discard(event.task_id)
            if event.error is not None:
                self._errors[event.task_id] = event.error
        else:
            if is_final(event):
                self._finals[event.task_id] = event
            reporter.show(event)

    def _interrupted(self, reporter: Reporter) -> None:
        """Ask what to do, once; exits unless the tasks are to be canceled."""
        reporter.pause()
        try:
            self._raise_on_interrupt = True
            canceled = self._may_ask and self._cancel_if_wanted()
        except (KeyboardInterrupt, EOFError):
            canceled = False
        finally:
            self._raise_on_interrupt = False
        if not canceled:
            raise self._leave()
        self._may_ask = False
        reporter.resume()

    def _cancel_if_wanted(self) -> bool:
        answer = self._session.err.input(_QUESTION, markup=False)
        if answer.strip().lower() not in ("c", "cancel"):
            return False
        for task_id in self._unfinished:
            try:
                self._client.cancel(task_id, project=self._project)
            except ReelmillError as error:
                report(self._session, error)
        return True

    def _leave(self) -> typer.Exit:
        server = "" if self._session.server == DEFAULT_TARGET else f" --server {self._session.server}"
        project = "" if self._project == DEFAULT_PROJECT else f" --project {self._project}"
        unfinished = " ".join(task_id for task_id in self.task_ids if task_id in self._unfinished)
        self._session.err.print(
            f"still running; watch again with: reelmill{server}{project} watch {unfinished}", soft_wrap=True
        )
        return typer.Exit(EXIT_INTERRUPTED)


@contextmanager
def _on_ctrl_c(act: Callable[[], None]) -> Iterator[None]:
    """Call `act` on Ctrl-C instead of raising KeyboardInterrupt."""
    previous = signal.signal(signal.SIGINT, lambda *_: act())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def finish_task(session: Session, task: Task) -> int:
    """Print the results of a final task, or why it has none, and return its exit code."""
    try:
        raise_unless_succeeded(task)
    except TaskEnded as error:
        if not session.json:  # with --json the final state has been printed, error included
            report(session, error)
        return exit_code(error)
    if not session.json:
        tables.print_result(session, task)
    return EXIT_OK


def show_all(session: Session, client: Client) -> None:
    """Show the running tasks of the project as they start and end, until Ctrl-C."""
    label_of = _Labels(client, session.project, {})
    outages = _Outages(session.server)
    with choose_reporter(session.err, as_json=session.json, named=True, label_of=label_of, keep=False) as reporter:
        for task in client.watch_all(status="Running", on_outage=lambda error: outages.show(error, reporter)):
            reporter.show(task)


class _Labels:
    """Names of tasks' files by task ID: those given, and the others from the server, each asked for once."""

    def __init__(self, client: Client, project: str, known: Mapping[str, TaskLabel]) -> None:
        self._client = client
        self._project = project
        self._known = dict(known)

    def __call__(self, task_id: str) -> TaskLabel:
        if task_id not in self._known:
            try:
                task = self._client.get(task_id, project=self._project, with_definition=True)
            except ReelmillError:  # a name is not worth an error
                task = Task(task_id=task_id)
            self._known[task_id] = task_label(task)
        return self._known[task_id]


class _Outages:
    """Print one line when the connection breaks and one when it is back, however many watches it carries."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._out = False

    def show(self, error: ReelmillError | None, reporter: Reporter) -> None:
        """Print the line that an outage, or its end, deserves."""
        if error is not None and not self._out:
            reporter.notice(f"the server at {self._server} is gone ({error.message}); reconnecting, the task is not affected")
        elif error is None and self._out:
            reporter.notice("connected again")
        self._out = error is not None
