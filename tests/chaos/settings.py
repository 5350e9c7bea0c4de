"""Settings of the clusters whose tasks are judged."""

import base64
from collections.abc import Mapping

MARKER = "REELMILL_STORM"
"""Variable that marks all processes of a cluster."""

_HEARTBEAT_SECONDS = 5
_SECRET = f"default=whsec_{base64.b64encode(bytes(range(32))).decode()}"

REPLICA = ("--heartbeat-timeout-seconds", str(_HEARTBEAT_SECONDS), "--reconcile-seconds", "1", "--drain-seconds", "5")
WORKER = ("--drain-seconds", "2", "--fast-core-seconds", "1", "--source-cache-bytes", "16MiB", "--chunk-seconds", "3")
"""Small scratch and short drains; a low bound of what is small, so that both queues are used."""

ENVIRONMENT: Mapping[str, str] = {
    # Webhooks reach a receiver on this machine.
    "REELMILL_WEBHOOK_SECRETS": _SECRET,
    "REELMILL_WEBHOOK_ALLOW_HTTP": "true",
    "REELMILL_WEBHOOK_ALLOW_PRIVATE": "true",
    # Nobody retries, and nothing may be left. A variable, which an earlier version ignores.
    "REELMILL_RETRY_KEEP_SECONDS": "0",
}
