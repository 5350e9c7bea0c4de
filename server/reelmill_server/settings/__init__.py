"""Every setting of the server, in groups by part. Environment, command line and documentation are made from them.

A field `file_root` of a group is the variable `REELMILL_FILE_ROOT` and the flag `--file-root`. A flag wins over the
variable, which wins over the default (docs/adr/0016-settings.md).
"""

from typing import Any

from pydantic_settings import BaseSettings, SettingsConfigDict

from reelmill_server.settings.api import ApiSettings
from reelmill_server.settings.attempts import AttemptSettings
from reelmill_server.settings.callers import CallerSettings
from reelmill_server.settings.chunks import ChunkSettings
from reelmill_server.settings.encoders import EncoderSettings
from reelmill_server.settings.engine import EngineSettings
from reelmill_server.settings.group import ENVIRONMENT_PREFIX, Group, UsedBy, both_names, checked_by
from reelmill_server.settings.limits import LimitSettings
from reelmill_server.settings.notify import NotifySettings
from reelmill_server.settings.storage import StorageSettings
from reelmill_server.settings.tasks import TaskSettings
from reelmill_server.settings.telemetry import TelemetrySettings
from reelmill_server.settings.worker import WorkerSettings


class Settings(
    ApiSettings,
    CallerSettings,
    TaskSettings,
    StorageSettings,
    EngineSettings,
    WorkerSettings,
    AttemptSettings,
    ChunkSettings,
    LimitSettings,
    EncoderSettings,
    NotifySettings,
    TelemetrySettings,
    BaseSettings,
):
    """How a server runs: all groups, read from the environment. Immutable; secrets are masked when it is printed or dumped."""

    model_config = SettingsConfigDict(env_prefix=ENVIRONMENT_PREFIX)

    @checked_by(UsedBy("serve", "api", "worker"))
    def _check_folders(self) -> None:
        if any(root.is_relative_to(self.data_dir) for root in self.file_root):
            raise ValueError(f"{both_names('file_root')}: expected a folder outside the one of {both_names('data_dir')}")


def changed(settings: Settings) -> dict[str, Any]:
    """Return the settings that were given and differ from their defaults, as JSON; secrets are masked."""
    fields = {name: Settings.model_fields[name] for name in settings.model_fields_set}
    names = {name for name, field in fields.items() if getattr(settings, name) != field.get_default(call_default_factory=True)}
    return dict(sorted(settings.model_dump(mode="json", include=names).items()))


GROUPS: tuple[type[Group], ...] = tuple(base for base in Settings.__bases__ if issubclass(base, Group))
"""In the order of the help and the documentation."""
