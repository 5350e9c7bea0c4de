"""Check where a child's plan wants to publish: a child that its media subverted may name any place."""

from collections.abc import Hashable

from reelmill_server.errors import InvalidArgument, OutputInvalid
from reelmill_server.model.plan import Plan
from reelmill_server.plan.output.destinations import foreign_uris
from reelmill_server.plan.output.image_files import writable_image_uris
from reelmill_server.plan.output.package_files import writable_uris
from reelmill_server.storage.base import Storage, redacted
from reelmill_server.worker import messages


def check_destinations(storage: Storage, assignment: messages.Assignment, plan: Plan) -> None:
    """Check every URI that `plan` will write. May block for the file system.

    Raises OutputInvalid for one that the request does not name, AccessDenied for one that may not be written, and
    InvalidArgument if one would replace a source, or two are the same file, in whatever spelling.
    """
    request = assignment.request
    assert request
    if foreign := foreign_uris(request, assignment.modified_us, plan):
        raise OutputInvalid(f"the child plans {len(foreign)} outputs that the request does not name")
    files = (file.uri for source in request.sources for file in source.subtitles)
    known: dict[Hashable, str] = {}
    for uri in (*(source.uri for source in request.sources), *files, *request.watermark_uris):
        known.update(dict.fromkeys(storage.places(uri), ""))
    for uri in dict.fromkeys((*writable_uris(plan), *writable_image_uris(plan.images))):
        storage.check_writable(uri)
        places = storage.places(uri)
        other = next((known[place] for place in places if place in known), None)
        if other is not None:
            same = f"{redacted(other)} by another name" if other else "a source"
            raise InvalidArgument(f"{redacted(uri)} would replace {same}: choose another name")
        known.update(dict.fromkeys(places, uri))
