"""Replay histories of workflows, as whoever takes a workflow over does."""

from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from reelmill_server.engine.payloads import DATA_CONVERTER


async def replay(history: WorkflowHistory, *workflows: type) -> None:
    """Run `workflows` again by a history; raises if they do something else now.

    As a server does, without the sandbox; and without a limit of two seconds for a step, which says nothing on a busy machine.
    """
    replayer = Replayer(
        workflows=workflows, data_converter=DATA_CONVERTER, workflow_runner=UnsandboxedWorkflowRunner(), debug_mode=True
    )
    await replayer.replay_workflow(history)
