"""Files of tasks for players: ranges of what a link is about, and of nothing else."""

import asyncio
import hashlib
import re

from aiohttp import web

from reelmill_server.api.console.links import Links
from reelmill_server.api.console.task_files import TYPES, TaskFiles, named_in, resource_of, type_of, uri_of
from reelmill_server.errors import ReelmillError, ResourceNotFound
from reelmill_server.storage.base import ObjectReader, Storage

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, no-store",
    "Referrer-Policy": "no-referrer",
    "Accept-Ranges": "bytes",
}
# A browser that opens the link by itself makes a page around the file. That of video, audio and HLS asks for the files, and is
# refused in a sandbox, where it is a page of nowhere; that of an image has styles of the browser's. These files are no markup.
_PLAYED = "default-src 'none'; media-src 'self'; frame-ancestors 'none'"
_POLICIES = {
    "video": _PLAYED,
    "audio": _PLAYED,
    TYPES[".m3u8"]: _PLAYED,
    "image": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
}
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_BLOCK = 256 * 1024
_MOST_LIST_BYTES = 8 << 20
_MOST_LISTS = 200


class Media:
    """Answers requests for files by links."""

    def __init__(self, links: Links, storage: Storage) -> None:
        self._links, self._storage = links, storage

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Return a file, or a range of it."""
        files = await self._links.find(request.match_info["link"])
        if files is None:
            raise web.HTTPForbidden(text="this link has expired: reload the page that it came from")
        resource = resource_of(request.raw_path)
        if resource not in files.artifacts and files.named is None:
            await self._read_lists(files)
        if not files.holds(resource):
            raise web.HTTPNotFound
        reader = await self._open(uri_of(resource))
        try:
            if resource in files.artifacts and files.artifacts[resource].size != reader.size_bytes:
                raise web.HTTPGone(text="the file has been replaced since")
            return await _send(request, reader, resource.name)
        finally:
            await reader.close()

    async def _open(self, uri: str) -> ObjectReader:
        try:
            self._storage.check_readable(uri)
            return await self._storage.open(uri)
        except ResourceNotFound:
            raise web.HTTPNotFound from None
        except ReelmillError:
            raise web.HTTPForbidden(text="this server may not read the file") from None

    async def _read_lists(self, files: TaskFiles) -> None:
        """Learn which segments belong to the task."""
        async with files.reading:
            if files.named is not None:
                return
            lists = [(at, await self._text(uri_of(at), files.artifacts[at].sha256)) for at in files.lists[:_MOST_LISTS]]
            files.named, files.patterns = await asyncio.to_thread(named_in, lists)

    async def _text(self, uri: str, sha256: str) -> str:
        """Return a list as the task wrote it; "" if somebody has changed it: it could name any file."""
        reader = await self._open(uri)
        try:
            content = await reader.read(0, min(reader.size_bytes, _MOST_LIST_BYTES))
            return content.decode("utf-8", "replace") if hashlib.sha256(content).hexdigest() == sha256 else ""
        finally:
            await reader.close()


async def _send(request: web.Request, reader: ObjectReader, name: str) -> web.StreamResponse:
    size = reader.size_bytes
    span = _span(request.headers.get("Range", ""), size)
    if span is None:
        return web.Response(status=416, headers={**HEADERS, "Content-Range": f"bytes */{size}"})
    begin, end, partial = span
    kind = type_of(name)
    headers = {**HEADERS, "Content-Type": kind or "application/octet-stream", "Content-Length": str(end - begin)}
    if policy := _POLICIES.get(kind) or _POLICIES.get(kind.partition("/")[0]):
        headers["Content-Security-Policy"] = policy
    if not kind:
        headers["Content-Disposition"] = "attachment"
    if partial:
        headers["Content-Range"] = f"bytes {begin}-{end - 1}/{size}"
    response = web.StreamResponse(status=206 if partial else 200, headers=headers)
    await response.prepare(request)
    while begin < end and (data := await reader.read(begin, min(_BLOCK, end - begin))):
        await response.write(data)
        begin += len(data)
    await response.write_eof()
    return response


def _span(text: str, size: int) -> tuple[int, int, bool] | None:
    """Return the first byte that is asked for, the one after the last, and whether that is a part; None: there is no such part.

    What is no single range counts as none.
    """
    match = _RANGE.fullmatch(text)
    if match is None or match[0] == "bytes=-":
        return 0, size, False
    first, last = match[1], match[2]
    begin = int(first) if first else max(0, size - int(last))
    end = min(size, int(last) + 1) if first and last else size
    return (begin, end, True) if begin < end else None
