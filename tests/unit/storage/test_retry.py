"""When calls to storages are tried again, and with which pauses."""

from typing import Any

import pytest
from tenacity import RetryCallState, wait_none

from reelmill_server.errors import AccessDenied, ReelmillError, StorageUnavailable
from reelmill_server.storage.retry import RetryPolicy


@pytest.mark.parametrize(("number", "longest"), [(1, 0.5), (2, 1.0), (3, 2.0), (5, 8.0), (9, 8.0)])
def test_pauses_grow_up_to_the_longest_and_differ(number: int, longest: float) -> None:
    """Each is between half and all of what it may be."""
    state = RetryCallState(None, None, (), {})  # type: ignore[arg-type]
    state.attempt_number = number
    pauses = [RetryPolicy()._wait()(state) for _ in range(200)]
    assert longest / 2 <= min(pauses) < longest * 0.6 and longest * 0.9 < max(pauses) <= longest


class Calls:
    """A call that fails with these errors, one by one, and then answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors, self.count = list(errors), 0

    async def __call__(self) -> str:
        self.count += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


def explain(error: Exception) -> ReelmillError | None:
    """What a storage's library says: by class, with the secret left out."""
    known: dict[type[Exception], ReelmillError] = {OSError: StorageUnavailable("away"), PermissionError: AccessDenied("no")}
    return known.get(type(error))


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets retries follow at once."""
    monkeypatch.setattr(RetryPolicy, "_wait", lambda self: wait_none())


async def test_what_may_pass_is_tried_again(no_pauses: None) -> None:
    """Until it answers."""
    call = Calls(OSError("secret"), OSError("secret"))
    assert await RetryPolicy(tries=3).call(call, explain) == "answer"
    assert call.count == 3


@pytest.mark.parametrize(
    ("errors", "expected", "count"),
    [
        ([OSError("secret")] * 3, StorageUnavailable, 2),
        ([OSError("secret"), PermissionError("secret")], AccessDenied, 2),
        ([PermissionError("secret")], AccessDenied, 1),
        ([KeyError("a defect")], KeyError, 1),
    ],
)
async def test_everything_else_ends_it(no_pauses: None, errors: list[Exception], expected: type[Exception], count: int) -> None:
    """And the library's own error, which may tell what is secret, does not travel along."""
    call = Calls(*errors)
    with pytest.raises(expected) as caught:
        await RetryPolicy(tries=2).call(call, explain)
    assert call.count == count
    chain: list[Any] = [caught.value, caught.value.__cause__, caught.value.__context__]
    assert "secret" not in repr(chain)
