"""Progress of running tasks: bars on a terminal, plain lines elsewhere, JSON lines for programs."""

import json
import time
from types import TracebackType
from typing import Any, Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from reelmill import vendor_json
from reelmill.v1.task_pb2 import TASK_STATUS_SUCCEEDED, TargetProgress, Task
from reelmill_client.formatting import eta_text, phase_word, short_id, status_word
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


class JsonReporter(_PlainReporter):
    """Reporter that prints each state as one line of JSON, in the vendor's form, on standard output."""

    def show(self, task: Task) -> None:
        print(json.dumps(vendor_json.dump(task), ensure_ascii=False), flush=True)


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
            self._console.print(f"{name}{line}")
        phase, progress, moment = phase_word(task), task.progress, time.monotonic()
        last_phase, last_progress, last_moment = self._shown.get(task.task_id, ("", 0, moment))
        if phase == last_phase and progress - last_progress < _LINE_STEP_PERCENT and moment - last_moment < _LINE_STEP_SECONDS:
            return
        self._shown[task.task_id] = (phase, progress, moment)
        if is_final(task):  # a watch may last for months
            del self._shown[task.task_id]
        self._console.print(f"{name}{phase} {progress}%{_pace(task)}", soft_wrap=True)


class BarReporter:
    """Reporter with a progress bar per target; `keep` leaves the bars of ended tasks, else a line replaces them."""

    def __init__(self, console: Console, *, named: bool, keep: bool) -> None:
        self._console = console
        self._named = named
        self._keep = keep
        self._attempts = FailedAttempts()
        self._bars: dict[tuple[str, int], TaskID] = {}
        self._progress = Progress(
            TextColumn("{task.fields[label]}", markup=False),
            TextColumn("{task.fields[phase]:<10}", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%", markup=False),
            TextColumn("{task.fields[pace]}", markup=False),
            console=console,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._progress.stop()

    def show(self, task: Task) -> None:
        name = f"{short_id(task.task_id)} " if self._named else ""
        for line in self._attempts.unseen(task):
            self._progress.print(f"{name}{line}")
        if is_final(task) and not self._keep:
            self._remove(task.task_id)
            self._progress.print(f"{task.task_id}: {status_word(task).lower()}")
            return
        for target in task.targets or self._last_targets(task):
            self._move(task, target, name)

    def pause(self) -> None:
        self._progress.stop()

    def resume(self) -> None:
        self._progress.start()

    def _last_targets(self, task: Task) -> list[TargetProgress]:
        """Return targets for a state that names none: those with bars, else a single one."""
        indexes = [index for task_id, index in self._bars if task_id == task.task_id] or [0]
        return [TargetProgress(target_index=index, percent=task.progress) for index in indexes]

    def _move(self, task: Task, target: TargetProgress, name: str) -> None:
        percent = 100 if task.status == TASK_STATUS_SUCCEEDED else target.percent
        fields: dict[str, Any] = {
            "completed": percent,
            "label": f"{name}target {target.target_index}",
            "phase": phase_word(task),
            "pace": _target_pace(target),
        }
        key = (task.task_id, target.target_index)
        if key in self._bars:
            self._progress.update(self._bars[key], **fields)
        else:
            self._bars[key] = self._progress.add_task("", total=100, **fields)

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


def choose_reporter(console: Console, *, as_json: bool, named: bool, keep: bool = True) -> Reporter:
    """Return JSON lines if asked for, bars on a terminal, plain lines elsewhere."""
    if as_json:
        return JsonReporter()
    if console.is_terminal:
        return BarReporter(console, named=named, keep=keep)
    return LineReporter(console, named=named)


def _pace(task: Task) -> str:
    """Return the speed of the slowest target."""
    if is_final(task) or not task.targets:
        return ""
    slowest = min(task.targets, key=lambda target: target.percent)
    return f" {_target_pace(slowest)}" if slowest.speed > 0 else ""


def _target_pace(target: TargetProgress) -> str:
    if target.speed <= 0:
        return ""
    frames = f" {target.frames_per_second:.0f} fps" if target.frames_per_second > 0 else ""
    return f"{target.speed:.2f}x{frames} eta {eta_text(target.eta)}"
