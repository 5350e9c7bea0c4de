"""Open what the api role keeps in the database."""

import os
import secrets
import socket
from datetime import timedelta

from reelmill_server.model.project import Quotas
from reelmill_server.settings import Settings
from reelmill_server.tasks.changes import ChangeStore
from reelmill_server.tasks.database import Database
from reelmill_server.tasks.keys import KeyStore
from reelmill_server.tasks.leases import Lease
from reelmill_server.tasks.nonces import NonceStore
from reelmill_server.tasks.notifications import NotificationStore
from reelmill_server.tasks.previews import PreviewStore
from reelmill_server.tasks.progress import ProgressStore
from reelmill_server.tasks.projects import ProjectStore
from reelmill_server.tasks.store import TaskStore


class Records:
    """The stores of a replica, in one database."""

    def __init__(self, settings: Settings, *, alone: bool) -> None:
        """Make the stores; `alone`: there is no other replica, so that the lease is always held."""
        self.database = Database(settings.resolved_database_url())
        self.retention = timedelta(hours=settings.retention_hours)
        self.quotas = Quotas(settings.project_concurrency, settings.project_queue, 1.0)
        """Those of projects that set none."""
        self.tasks = TaskStore(self.database, self.retention, self.quotas, int(settings.project_record_bytes))
        self.projects = ProjectStore(self.database, settings.max_projects)
        self.changes = ChangeStore(self.database)
        self.lease = Lease(self.database, f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}", alone=alone)
        self.progress = ProgressStore(self.database, self.lease)
        self.previews = PreviewStore(self.database)
        self.notifications = NotificationStore(self.database)
        self.keys = KeyStore(self.database)
        self.nonces = NonceStore(self.database)
