"""Watching: what is passed on, when to connect again, and both clients against streams that break."""

import asyncio
import threading
import time
from typing import Any

import grpc
import pytest

from reelmill.v1.task_pb2 import (
    TASK_PHASE_CONVERTING,
    TASK_PHASE_QUEUED,
    TASK_STATUS_CANCELED,
    TASK_STATUS_FAILED,
    TASK_STATUS_RUNNING,
    TASK_STATUS_SUCCEEDED,
    Task,
)
from reelmill_client import (
    AsyncClient,
    Client,
    DeadlineExceeded,
    NotFound,
    ReelmillError,
    ServerError,
    TaskCanceled,
    TaskFailed,
    Unavailable,
)
from reelmill_client.watch import ReconnectPolicy, StateFilter

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


def running(progress: int, attempt: int = 1, task_id: str = "t", **fields: Any) -> Task:
    """A task at work."""
    return Task(task_id=task_id, status=TASK_STATUS_RUNNING, progress=progress, attempt=attempt, **fields)


SUCCEEDED = Task(task_id="t", status=TASK_STATUS_SUCCEEDED, progress=100, attempt=1)


def watched(fake: Any, **options: Any) -> list[Task]:
    """What the synchronous client yields."""
    with Client(fake.target, project="p") as client:
        return list(client.watch("t", **options))


async def watched_async(fake: Any, **options: Any) -> list[Task]:
    """What the asynchronous client yields."""
    async with asyncio.timeout(10), AsyncClient(fake.target, project="p") as client:
        return [task async for task in client.watch("t", **options)]


def both(fake: Any, script: list[list[Any]], **options: Any) -> list[Task]:
    """Runs the same scripts with both clients and returns what both yielded."""
    fake.scripts.extend([list(steps) for steps in script])
    first = watched(fake, **options)
    fake.scripts.extend([list(steps) for steps in script])
    second = asyncio.run(watched_async(fake, **options))
    assert first == second
    assert not fake.scripts
    return first


class FakeError(grpc.RpcError):
    """What a call raises, without a call."""

    def __init__(self, status: grpc.StatusCode) -> None:
        self._status = status

    def code(self) -> grpc.StatusCode:
        return self._status

    def details(self) -> str:
        return "broken"

    def trailing_metadata(self) -> tuple[()]:
        return ()


def test_news_passes_each_state_once() -> None:
    """A repeated state is no news; a changed phase at the same progress is."""
    news = StateFilter()
    assert news.accept(running(5)) == running(5)
    assert news.accept(running(5)) is None
    assert news.accept(running(5, phase=TASK_PHASE_CONVERTING)) is not None


def test_news_drops_states_from_before() -> None:
    """Older by progress, by attempt, or by how far a target is."""
    news = StateFilter()
    news.accept(running(50, attempt=2, targets=[{"percent": 50.5}]))
    assert news.accept(running(49, attempt=2)) is None
    assert news.accept(running(60, attempt=1)) is None
    assert news.accept(running(50, attempt=2, targets=[{"percent": 50.1}])) is None
    assert news.accept(running(50, attempt=2, targets=[{"percent": 50.6}])) is not None


def test_news_keeps_progress_over_attempts_and_the_end() -> None:
    """A new attempt and a failure are news, but the number does not fall."""
    news = StateFilter()
    news.accept(running(50))
    again = news.accept(running(0, attempt=2, phase=TASK_PHASE_QUEUED))
    assert again is not None and (again.progress, again.attempt) == (50, 2)
    failed = news.accept(Task(task_id="t", status=TASK_STATUS_FAILED, progress=10, attempt=1))
    assert failed is not None and failed.progress == 50


def test_news_says_nothing_after_the_end() -> None:
    """A final state is final, and tasks do not disturb each other."""
    news = StateFilter()
    assert news.accept(SUCCEEDED) is not None
    assert news.accept(SUCCEEDED) is None
    assert news.accept(running(99)) is None
    assert news.accept(running(1, task_id="other")) is not None


def test_news_remembers_the_latest_ended_tasks_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A watch may last for months; what the server repeats after a reconnect counts as late."""
    monkeypatch.setattr("reelmill_client.watch._MOST_ENDED", 3)
    news = StateFilter()

    def end(number: int) -> bool:
        news.accept(running(1, task_id=str(number)))
        return news.accept(Task(task_id=str(number), status=TASK_STATUS_FAILED)) is not None

    assert [end(number) for number in range(1000)] == [True] * 1000
    assert [end(number) for number in (997, 998, 999, 998)] == [False] * 4
    assert end(1000) and not end(998)
    assert (len(news._ended), len(news._last)) == (3, 0)


def test_delays_grow_with_jitter_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """0.2 s doubling to 10 s, each halved at most; short again after news only."""
    monkeypatch.setattr("reelmill_client.watch._FIRST_DELAY_SECONDS", 0.2)
    reconnects = ReconnectPolicy(now=lambda: 0.0)
    expected = [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10]
    delays = [reconnects.after_error(FakeError(UNAVAILABLE)) for _ in expected]
    assert all(full / 2 <= delay <= full for delay, full in zip(delays, expected, strict=True))
    assert delays != expected
    reconnects.received(changed=False)
    assert reconnects.after_end() >= 5
    reconnects.received(changed=True)
    assert reconnects.after_end() <= 0.2


def test_an_outage_has_a_bound() -> None:
    """Counted from the last message, not from the beginning."""
    clock = [0.0]
    reconnects = ReconnectPolicy(max_outage_seconds=60, now=lambda: clock[0])
    clock[0] = 59
    reconnects.after_error(FakeError(UNAVAILABLE))
    reconnects.received(changed=False)
    clock[0] = 118
    reconnects.after_error(FakeError(UNAVAILABLE))
    clock[0] = 119
    with pytest.raises(Unavailable, match="broken"):
        reconnects.after_error(FakeError(UNAVAILABLE))
    with pytest.raises(Unavailable):
        reconnects.after_end()


def test_a_watch_has_a_bound() -> None:
    """Delays are cut to what is left; then it is over."""
    clock = [0.0]
    reconnects = ReconnectPolicy(5, now=lambda: clock[0])
    assert reconnects.remaining_seconds() == 5
    clock[0] = 4.999
    assert reconnects.after_error(FakeError(UNAVAILABLE)) <= 0.001001
    clock[0] = 5.0
    with pytest.raises(DeadlineExceeded, match="5 seconds"):
        reconnects.remaining_seconds()


@pytest.mark.parametrize("status", [grpc.StatusCode.INTERNAL, grpc.StatusCode.CANCELLED, UNAVAILABLE])
def test_broken_streams_are_made_anew(fake: Any, failure: Any, status: grpc.StatusCode) -> None:
    """Whatever a reset looks like, the caller sees one rising sequence that ends at the final state."""
    script = [
        [running(10), running(20), failure(status, "RST_STREAM")],
        [failure(status, "not yet")],
        [running(15), running(20), running(30), SUCCEEDED],
    ]
    assert [task.progress for task in both(fake, script)] == [10, 20, 30, 100]
    assert len(fake.requests("Watch")) == 6


def test_a_stream_that_just_ends_is_made_anew(fake: Any) -> None:
    """A server that shuts down politely may end its streams without an error."""
    assert [task.progress for task in both(fake, [[running(10)], [], [running(10), SUCCEEDED]])] == [10, 100]


def test_unavailable_with_a_code_is_also_tried_again(fake: Any, failure: Any) -> None:
    """The service says ServiceUnavailable while its engine restarts."""
    script = [[failure(UNAVAILABLE, "engine down", "ServiceUnavailable")], [SUCCEEDED]]
    assert both(fake, script) == [SUCCEEDED]


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (grpc.StatusCode.NOT_FOUND, "ResourceNotFound", NotFound),
        (grpc.StatusCode.INTERNAL, "InternalError", ServerError),
        (grpc.StatusCode.UNKNOWN, "", ReelmillError),
    ],
)
def test_other_errors_end_the_watch(fake: Any, failure: Any, status: Any, code: str, error: type[Exception]) -> None:
    """They would come again."""
    fake.scripts.extend([[failure(status, "no", code)], [failure(status, "no", code)]])
    with pytest.raises(error, match="no"):
        watched(fake, timeout_seconds=3)
    with pytest.raises(error, match="no"):
        asyncio.run(watched_async(fake, timeout_seconds=3))
    assert len(fake.requests("Watch")) == 2


def test_a_server_that_stays_away_is_given_up(fake: Any) -> None:
    """Unavailable after the outage that was allowed."""
    fake.stop()
    with pytest.raises(Unavailable):
        watched(fake, max_outage_seconds=0.2)
    with pytest.raises(Unavailable):
        asyncio.run(watched_async(fake, max_outage_seconds=0.2))


@pytest.mark.parametrize("steps", [[running(1)], []])
def test_the_timeout_ends_a_watch(fake: Any, hang: object, steps: list[Task]) -> None:
    """Also while the stream is silent."""
    fake.scripts.extend([[*steps, hang], [*steps, hang]])
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        watched(fake, timeout_seconds=0.2)
    with pytest.raises(DeadlineExceeded):
        asyncio.run(watched_async(fake, timeout_seconds=0.2))
    assert time.monotonic() - began >= 0.4


def test_a_restarted_server_is_found_again(fake: Any, hang: object) -> None:
    """A real server dies with an open stream and comes back on the same port."""
    fake.scripts.append([running(10), hang])
    seen = []
    with Client(fake.target, project="p") as client:
        for task in client.watch("t"):
            seen.append(task.progress)
            if task.progress == 10:
                fake.stop()
                fake.scripts.append([running(5), running(40), SUCCEEDED])
                threading.Timer(0.1, fake.start).start()
    assert seen == [10, 40, 100]


def test_leaving_early_ends_the_stream(fake: Any, hang: object) -> None:
    """A caller that breaks out leaves no stream open at the server."""
    gone = threading.Event()
    fake.scripts.append([running(1), hang])
    original = fake.stream

    def stream(context: Any, *arguments: Any) -> Any:
        context.add_callback(gone.set)
        return original(context, *arguments)

    fake.stream = stream
    with Client(fake.target, project="p") as client:
        for _ in client.watch("t"):
            break
        assert gone.wait(2)


def test_closing_the_client_ends_a_watch(fake: Any, hang: object) -> None:
    """With an error, in the thread that watches, and without connecting again."""
    fake.scripts.append([running(1), hang])
    client = Client(fake.target, project="p")
    states = client.watch("t")
    next(states)
    threading.Timer(0.1, client.close).start()
    with pytest.raises(ReelmillError):
        next(states)


def test_wait_returns_or_raises_by_the_final_state(fake: Any) -> None:
    """Failed and canceled tasks raise, with the task, unless that is not wanted."""
    failed = Task(task_id="t", status=TASK_STATUS_FAILED, code="InvalidMedia", message="no streams")
    canceled = Task(task_id="t", status=TASK_STATUS_CANCELED)
    fake.scripts.extend([[running(1), SUCCEEDED], [failed], [canceled], [failed]])
    with Client(fake.target) as client:
        assert client.wait("t") == SUCCEEDED
        with pytest.raises(TaskFailed, match="InvalidMedia: no streams") as caught:
            client.wait("t")
        assert (caught.value.task, caught.value.code) == (failed, "InvalidMedia")
        with pytest.raises(TaskCanceled):
            client.wait("t")
        assert client.wait("t", check=False) == failed


async def test_wait_for_asyncio(fake: Any) -> None:
    """The same, awaited."""
    failed = Task(task_id="t", status=TASK_STATUS_FAILED, code="InvalidMedia")
    fake.scripts.extend([[running(1), SUCCEEDED], [failed]])
    async with AsyncClient(fake.target) as client:
        assert await client.wait("t") == SUCCEEDED
        with pytest.raises(TaskFailed):
            await client.wait("t")


def test_watch_all_goes_on_over_connections(fake: Any, failure: Any) -> None:
    """Tasks mix; what was seen is not repeated after a reconnect; nothing ends it but the caller."""
    other = running(7, task_id="other")
    fake.scripts.extend([[running(1), SUCCEEDED, failure(UNAVAILABLE, "gone")], [SUCCEEDED, running(1), other]])
    with Client(fake.target, project="p") as client:
        states = client.watch_all(tags={"a": "b"}, status="Running")
        assert [next(states) for _ in range(3)] == [running(1), SUCCEEDED, other]
        states.close()
    request = fake.requests("WatchAll")[0]
    assert (request.project_name, request.tag_selector, request.status) == ("p", "a=b", TASK_STATUS_RUNNING)


async def test_watch_all_for_asyncio(fake: Any) -> None:
    """The same, awaited."""
    fake.scripts.append([running(1), SUCCEEDED])
    async with AsyncClient(fake.target) as client:
        states = client.watch_all()
        assert [await anext(states), await anext(states)] == [running(1), SUCCEEDED]
        await states.aclose()
