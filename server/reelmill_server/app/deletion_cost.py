"""Tell Kubernetes what it would cost to delete this worker's pod, so that idle ones go first when a pool shrinks."""

import os
import ssl
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import structlog

from reelmill_server.app.background import background
from reelmill_server.model.time import MICROSECONDS
from reelmill_server.model.worker_state import AttemptState

ANNOTATION = "controller.kubernetes.io/pod-deletion-cost"
# Where Kubernetes puts the token of a pod's account, its namespace, and the authority of the API server.
_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_CHECK_SECONDS = 5.0
_CALL_SECONDS = 10.0
_SECONDS_PER_MINUTE = 60
_log = structlog.get_logger(__name__)


def deletion_cost(attempts: Sequence[AttemptState], now_us: int) -> int:
    """Return 0 for an idle worker, else the minutes that its attempts have run together, as a power of two: 1, 2, 4, …

    Steps that double keep the calls few: each of them is a write to the API server, and a long encode makes ten.
    """
    if not attempts:
        return 0
    seconds = sum(now_us - attempt.started_us for attempt in attempts) / MICROSECONDS
    return 1 << max(0, int(seconds / _SECONDS_PER_MINUTE)).bit_length()


class PodCost:
    """The annotation of one pod; it is written when it changes."""

    def __init__(self, session: aiohttp.ClientSession, url: str, account: Path, cost: Callable[[], int]) -> None:
        """`url` is that of the pod at the API server, `account` the folder with the token, which is read for each call."""
        self._session, self._url, self._account, self._cost = session, url, account, cost
        self._known: int | None = None

    async def once(self) -> None:
        """Write the cost unless it is known. Raises aiohttp.ClientError, OSError or TimeoutError."""
        cost = self._cost()
        if cost == self._known:
            return
        token = (self._account / "token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/merge-patch+json"}
        change = {"metadata": {"annotations": {ANNOTATION: str(cost)}}}
        async with self._session.patch(self._url, json=change, headers=headers, raise_for_status=True):
            self._known = cost


@asynccontextmanager
async def deletion_cost_kept(
    pod: str, attempts: Callable[[], Sequence[AttemptState]], account: Path = _ACCOUNT
) -> AsyncIterator[None]:
    """Keep the cost of deleting `pod` up to date during the block; do nothing if it has no name.

    What fails is logged and tried again: a pool that shrinks in a bad order is no reason to stop work.
    """
    if not pod:
        yield
        return
    try:
        host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
        namespace = (account / "namespace").read_text().strip()
        context = ssl.create_default_context(cafile=account / "ca.crt")
    except (KeyError, OSError) as error:  # not in a pod, or in one without an account's token
        _log.warning("no deletion cost is kept", pod=pod, reason=f"{type(error).__name__}: {error}")
        yield
        return
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    url = f"https://{authority}/api/v1/namespaces/{namespace}/pods/{pod}"
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=context), timeout=aiohttp.ClientTimeout(total=_CALL_SECONDS)
            )
        )
        cost = PodCost(session, url, account, lambda: deletion_cost(attempts(), time.time_ns() // 1000))
        await stack.enter_async_context(background("deletion cost", cost.once, _CHECK_SECONDS))
        _log.info("deletion cost", pod=f"{namespace}/{pod}")
        yield
