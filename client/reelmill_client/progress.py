"""Progress of running tasks: bars on a terminal, plain lines elsewhere, JSON lines for programs."""

import json
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Protocol, Self, cast

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Column

from reelmill import vendor_json
from reelmill.v1.task_pb2 import TASK_STATUS_SUCCEEDED, TargetProgress, Task
from reelmill_client.formatting import eta_text, phase_word, place_text, short_id, status_word
from reelmill_client.labels import TaskLabel
from reelmill_client.watch import is_final

# A plain line is printed when this much changed since the last one, so that logs stay short.
_LINE_STEP_PERCENT = 5
_LINE_STEP_SECONDS = 10.0


class Reporter(Protocol):
    """Display of the states of tasks as they arrive; a context manager."""

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...

    def show(self, task: Task) -> None:
        """Show one state."""

    def pause(self) -> None:
        """Leave the terminal alone while a question is open."""

    def resume(self) -> None:
        """Continue after a pause."""

    def notice(self, text: str) -> None:
        """Show a line that is about the connection rather than a task."""


class _PlainReporter:
    """A reporter without resources or animation."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pass

    def pause(self) -> None:
        pass

    def resume(self) -> None:
        pass

    def notice(self, text: str) -> None:
        pass


class JsonReporter(_PlainReporter):
    """Reporter that prints each state as one line of JSON, in the vendor's form, on standard output."""

    def show(self, task: Task) -> None:
        print(json.dumps(vendor_json.dump(task, zeros=True), ensure_ascii=False), flush=True)


class LineReporter(_PlainReporter):
    """Reporter that prints a line when a task's phase changes, it advances, or some time has passed.

    `named` lines begin with the task's id.
    """

    def __init__(self, console: Console, *, named: bool) -> None:
        self._console = console
        self._named = named
        self._attempts = FailedAttempts()
        self._shown: dict[str, tuple[str, int, float]] = {}

    def show(self, task: Task) -> None:
        """Print a state if it differs enough from the last line."""
        name = f"{task.task_id}: " if self._named else ""
        for line in self._attempts.unseen(task):
            self.notice(f"{name}{line}")
        phase, progress, moment = phase_word(task), task.progress, time.monotonic()
        last_phase, last_progress, last_moment = self._shown.get(task.task_id, ("", 0, moment))
        if phase == last_phase and progress - last_progress < _LINE_STEP_PERCENT and moment - last_moment < _LINE_STEP_SECONDS:
            return
        self._shown[task.task_id] = (phase, progress, moment)
        if is_final(task):  # a watch may last for months
            del self._shown[task.task_id]
        self.notice(f"{name}{phase} {progress}% {_pace(task)}".rstrip())

    def notice(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, soft_wrap=True)


# Columns of a bar's row beside its label and the bar itself: phase, percent, pace, and the spaces between them.
_OTHER_COLUMNS = 46


class BarReporter:
    """Reporter with a bar for each task, and below it one for each of its targets if there are several.

    `label_of` returns the names of a task's files by its id. `keep` leaves the bars of ended tasks, else a line replaces them.
    """

    def __init__(self, console: Console, *, label_of: Callable[[str], TaskLabel], keep: bool) -> None:
        self._console = console
        self._label_of = label_of
        self._keep = keep
        self._attempts = FailedAttempts()
        self._bars: dict[tuple[str, int | None], TaskID] = {}
        spare = max(console.width - _OTHER_COLUMNS, 16)
        label = Column(no_wrap=True, overflow="ellipsis", min_width=8, max_width=max(8, min(spare * 2 // 3, 36)))
        self._progress = Progress(
            TextColumn("{task.fields[label]}", markup=False, table_column=label),
            TextColumn("{task.fields[phase]}", markup=False, table_column=Column(no_wrap=True)),
            BarColumn(bar_width=max(6, min(spare // 3, 40))),
            TextColumn("{task.percentage:>3.0f}%", markup=False, table_column=Column(no_wrap=True)),
            TextColumn("{task.fields[pace]}", markup=False, table_column=Column(no_wrap=True)),
            console=console,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._progress.stop()

    def show(self, task: Task) -> None:
        """Move the bars of a task."""
        for line in self._attempts.unseen(task):
            self.notice(f"{short_id(task.task_id)}: {line}")
        if is_final(task) and not self._keep:
            self._remove(task.task_id)
            self.notice(f"{task.task_id}: {status_word(task).lower()}")
            return
        label = self._label_of(task.task_id)
        self._move((task.task_id, None), task.progress, label=label.source, phase=phase_word(task), pace=_pace(task))
        targets = self._targets(task)
        for target in targets if len(targets) > 1 else []:
            percent = 100 if task.status == TASK_STATUS_SUCCEEDED else target.percent
            pace = "" if is_final(task) else _speed(target)
            name = f"  {label.target(target.target_index)}"
            self._move((task.task_id, target.target_index), percent, label=name, phase="", pace=pace)

    @property
    def bars(self) -> RenderableType:
        """The bars as they are now."""
        return self._progress.get_renderable()

    def notice(self, text: str) -> None:
        """Print a line above the bars."""
        self._progress.print(text, soft_wrap=True)

    def pause(self) -> None:
        """Take the bars off the terminal."""
        self._progress.stop()

    def resume(self) -> None:
        """Draw the bars again."""
        self._progress.start()

    def _targets(self, task: Task) -> Sequence[TargetProgress]:
        """Return the targets of a state; of one that names none, those that have bars."""
        indexes = [index for task_id, index in self._bars if task_id == task.task_id and index is not None]
        return task.targets or [TargetProgress(target_index=index, percent=task.progress) for index in indexes]

    def _move(self, key: tuple[str, int | None], percent: float, **fields: str) -> None:
        if key in self._bars:
            self._progress.update(self._bars[key], completed=percent, **cast(dict[str, Any], fields))
        else:
            self._bars[key] = self._progress.add_task("", total=100, completed=int(percent), **cast(dict[str, Any], fields))

    def _remove(self, task_id: str) -> None:
        for key in [key for key in self._bars if key[0] == task_id]:
            self._progress.remove_task(self._bars.pop(key))


class FailedAttempts:
    """Memory of the failed attempts that were shown, by task."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def unseen(self, task: Task) -> list[str]:
        """Return one sentence for each attempt that failed since the last call for this task."""
        new = task.failed_attempts[self._seen.get(task.task_id, 0) :]
        self._seen[task.task_id] = len(task.failed_attempts)
        if is_final(task):
            del self._seen[task.task_id]
        return [f"attempt {failed.attempt} failed: {failed.code}: {failed.message}" for failed in new]


def choose_reporter(
    console: Console, *, as_json: bool, named: bool, label_of: Callable[[str], TaskLabel], keep: bool = True
) -> Reporter:
    """Return JSON lines if asked for, bars on a terminal, plain lines elsewhere."""
    if as_json:
        return JsonReporter()
    if console.is_terminal:
        return BarReporter(console, label_of=label_of, keep=keep)
    return LineReporter(console, named=named)


def _pace(task: Task) -> str:
    """Return the speed of the slowest target, and the time left of the whole task: that of the target that ends last; of a task
    that waits, its place.
    """
    if is_final(task) or not task.targets:
        return "" if is_final(task) else place_text(task)
    slowest = min(task.targets, key=lambda target: target.percent)
    etas = [target.eta for target in task.targets if target.eta > 0]
    return f"{_speed(slowest)} eta {eta_text(max(etas, default=0))}" if slowest.speed > 0 else ""


def _speed(target: TargetProgress) -> str:
    """Return seconds of media and frames per second of work."""
    if target.speed <= 0:
        return ""
    frames = f" {target.frames_per_second:.0f} fps" if target.frames_per_second > 0 else ""
    return f"{target.speed:.2f}x{frames}"
