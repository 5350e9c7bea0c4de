"""The interface of a worker that the engine's activities call."""

from collections.abc import Callable, Sequence
from typing import Protocol

from reelmill_server.model.capability import Report
from reelmill_server.model.chunked_plan import KeptFile
from reelmill_server.model.media_info import MediaInfo
from reelmill_server.model.needs import Needs
from reelmill_server.model.plan import Plan
from reelmill_server.model.preview import Preview
from reelmill_server.model.publication import Claim, PendingFile
from reelmill_server.model.request import ConvertRequest, Credentials
from reelmill_server.model.sample import SampleScores, Trial
from reelmill_server.model.task import Artifact, Progress
from reelmill_server.model.units import Split


class InspectionResult(Protocol):
    """Result of an inspection."""

    @property
    def infos(self) -> tuple[MediaInfo, ...]:
        """The media infos of the sources."""

    @property
    def plan(self) -> Plan | None:
        """The plan that would run; None unless it was requested."""

    @property
    def split(self) -> Split | None:
        """How the plan would be cut into chunks."""


class Attempts(Protocol):
    """Interface of a worker to its media work. Every method may raise ReelmillError."""

    async def convert(
        self,
        request: ConvertRequest,
        *,
        report: Callable[[Progress], None],
        claim: Claim,
        lane: str,
        needs: Needs | None,
        kept: Sequence[KeptFile],
        least_bytes: int,
        avoided: Sequence[str],
        show: Callable[[Preview], None],
    ) -> tuple[tuple[Artifact, ...], tuple[str, ...]]:
        """Convert and publish; return the artifacts and warnings for the user. Raises Deferred for a task that is not small."""

    async def encode_unit(
        self,
        request: ConvertRequest,
        needs: Needs,
        number: int,
        *,
        report: Callable[[Progress], None],
        claim: Claim,
        lane: str,
        least_bytes: int,
        show: Callable[[Preview], None],
    ) -> tuple[tuple[KeptFile, ...], tuple[str, ...]]:
        """Encode one chunk of a task; return its files and warnings for the user."""

    async def try_samples(
        self,
        request: ConvertRequest,
        needs: Needs,
        trials: Sequence[Trial],
        *,
        report: Callable[[Progress], None],
        claim: Claim,
        lane: str,
        least_bytes: int,
    ) -> tuple[SampleScores, ...]:
        """Encode samples of a task whose CRFs are searched; return what came of them, in the order of `trials`."""

    async def erase(self, task_id: str) -> None:
        """Remove what chunks of a task left in shared scratch."""

    async def withdraw(self, credentials: Credentials, files: Sequence[PendingFile]) -> None:
        """Remove what a lost attempt has published, as far as it is still there."""

    async def inspect(self, action: str, request: ConvertRequest) -> InspectionResult:
        """Probe the sources, and plan if `action` is `plan`."""

    def describe(self) -> Report:
        """Return the capabilities of this worker."""
