"""Take the plan that another child made, before its task was cut into chunks."""

import json

from reelmill_server.errors import ChunksDiffer, InternalError, SourceChanged
from reelmill_server.media import capabilities
from reelmill_server.model.plan import Plan
from reelmill_server.model.units import Split
from reelmill_server.worker import messages
from reelmill_server.worker.child.inspect import identities


def given_plan(assignment: messages.Assignment) -> tuple[Plan, Split]:
    """Return the plan and split in the assignment. Raises SourceChanged if a source was replaced since."""
    if assignment.plan is None or assignment.split is None:
        raise InternalError("an assignment without the plan that was cut")
    if assignment.split.sources != identities(assignment):
        raise SourceChanged("a source was replaced after the task was cut into chunks")
    return assignment.plan, assignment.split


def own_plan(assignment: messages.Assignment) -> tuple[Plan, Split]:
    """Return them where something is encoded. Raises ChunksDiffer, too, if the encoders of this worker are not those that were
    planned with.
    """
    plan, cut = given_plan(assignment)
    if cut.libraries != json.dumps(capabilities.library_versions(), sort_keys=True):
        raise ChunksDiffer("this worker has other versions of the encoders than the one that planned")
    return plan, cut
