"""Ask a cluster at hand whether it would take the manifests: python -m tests.k8s.dry_run (`make cluster-check`).

Nothing is changed: `kubectl apply --dry-run=server`. The namespaces must be there, and the definitions of KEDA's and the
Prometheus operator's resources for overlays that use them. Exits with 1 when the cluster refuses something.
"""

import subprocess
import sys

from tests.k8s.manifests import FOLDER, OVERLAYS

_REACH_SECONDS = "5s"


def main() -> None:
    """Ask for every overlay."""
    reached = subprocess.run(
        ["kubectl", "get", "--raw", "/version", "--request-timeout", _REACH_SECONDS], capture_output=True, check=False
    )
    if reached.returncode:
        print("no cluster at hand: none was asked")
        return
    refused = list[str]()
    for folder in ("cluster", *OVERLAYS):
        command = ["kubectl", "apply", "--dry-run=server", "--validate=strict", "-k", str(FOLDER / folder)]
        if subprocess.run(command, check=False).returncode:
            refused.append(folder)
    sys.exit(f"refused: {', '.join(refused)}" if refused else 0)


if __name__ == "__main__":
    main()
