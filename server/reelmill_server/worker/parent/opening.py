"""Open the sources of a request for a child, which reads nothing but what is opened here."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from reelmill_server.errors import InternalError, Timeout
from reelmill_server.model.chunked_plan import KeptFile
from reelmill_server.model.request import ConvertRequest
from reelmill_server.storage.base import Storage
from reelmill_server.storage.shared_scratch import SharedScratch
from reelmill_server.telemetry.metrics import Metrics
from reelmill_server.worker import messages
from reelmill_server.worker.parent.capabilities import Capabilities
from reelmill_server.worker.parent.range_server import RangeServer
from reelmill_server.worker.parent.stall_watch import Bounds, look_bounds
from reelmill_server.worker.parent.workspace import Scratch


class Opener:
    """Opens sources, and says in an assignment where a child reads them."""

    def __init__(
        self,
        storage: Storage,
        scratch: Scratch,
        capabilities: Capabilities,
        bounds: Bounds,
        metrics: Metrics,
        shared: SharedScratch | None,
    ) -> None:
        """`shared`: where the files of chunks are kept, if anywhere."""
        self._storage, self._scratch, self._capabilities = storage, scratch, capabilities
        self._bounds, self._metrics, self._shared = bounds, metrics, shared

    @asynccontextmanager
    async def reading(self, request: ConvertRequest) -> AsyncIterator[RangeServer]:
        """Serve sources, read with the task's credentials, during the block."""
        with self._scratch.cache() as cache:
            range_server = RangeServer(self._storage.acting_as(request.credentials), cache, self._bounds.max_source_bytes)
            try:
                yield range_server
            finally:
                await asyncio.shield(range_server.close())
                self._metrics.source_bytes_total.inc(range_server.fetched_bytes)
                self._metrics.source_block_total.labels("Hit").inc(range_server.hits)
                self._metrics.source_block_total.labels("Miss").inc(range_server.misses)

    async def open(self, request: ConvertRequest, range_server: RangeServer) -> messages.Assignment:
        """Return an assignment to probe the sources of `request`; all files that the child reads are opened.

        Raises Timeout if that takes too long.
        """
        try:
            async with asyncio.timeout(self._bounds.look_seconds):
                return await self._open(request, range_server)
        except TimeoutError:
            raise Timeout(f"opening the sources took longer than {self._bounds.look_seconds:.0f} s") from None

    async def _open(self, request: ConvertRequest, range_server: RangeServer) -> messages.Assignment:
        sources = [await range_server.open(source.uri) for source in request.sources]
        subtitles = [[(await range_server.open(file.uri))[0] for file in source.subtitles] for source in request.sources]
        capabilities = self._capabilities
        return messages.Assignment(
            action="probe",
            limits=self._bounds.limits,
            request=request,
            sources=tuple(ref for ref, _ in sources),
            subtitles=tuple(map(tuple, subtitles)),
            watermarks={uri: (await range_server.open(uri))[0] for uri in request.watermark_uris},
            modified_us=tuple(modified_us for _, modified_us in sources),
            capabilities=(*capabilities.encoders, *capabilities.detectors, *capabilities.filters),
            encoder_order=self._bounds.encoder_order,
            look=look_bounds(self._bounds, range_server),
            previews=self._bounds.previews,
        )

    async def open_kept(self, kept: Sequence[KeptFile], range_server: RangeServer) -> tuple[messages.JoinedFile, ...]:
        """Return the files of chunks, opened for the child that joins them."""
        if self._shared is None:
            raise InternalError("the worker has no scratch_uri, where parts of tasks are kept")
        return tuple(
            [messages.JoinedFile(part.file, await range_server.adopt(await self._shared.open(part.uri))) for part in kept]
        )
