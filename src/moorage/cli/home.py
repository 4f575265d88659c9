"""An installation's home: the directory in which it keeps everything, and how its programs find each other.

installation.json    what it was started with (model.installation.Settings)
credentials          the root access key, mode 0600, as the AWS SDKs read it
state.db events.db   the server's journal and the store of log events
registry/            the image registry
nodes/<name>/        one agent each
logs/                what the programs print
run/                 process ids and readiness, gone after `moor down`
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import click
import msgspec

from moorage.model.installation import Settings

DEFAULT_HOME: Final = "/var/lib/moorage"


class Home:
    """The directory of one installation; reading never creates it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @staticmethod
    def chosen() -> Home:
        """The one that MOORAGE_HOME names, or the machine's default one."""
        return Home(Path(os.environ.get("MOORAGE_HOME") or DEFAULT_HOME).absolute())

    @property
    def settings_file(self) -> Path:
        return self.path / "installation.json"

    @property
    def credentials_file(self) -> Path:
        return self.path / "credentials"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def run(self) -> Path:
        return self.path / "run"

    def create(self) -> None:
        """Make the directories; nobody but the owner may look inside, keys lie there."""
        for directory in (self.path, self.logs, self.run, self.path / "nodes"):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def load(self) -> Settings | None:
        """The settings it was last started with; None where there is no installation yet."""
        try:
            return msgspec.json.decode(self.settings_file.read_bytes(), type=Settings)
        except FileNotFoundError:
            return None
        except PermissionError as error:
            raise click.ClickException(f"{self.path} belongs to another user; try as root") from error
        except msgspec.DecodeError as error:
            raise click.ClickException(f"{self.settings_file} is damaged: {error}") from error

    def require(self) -> Settings:
        """The settings; refused with a sentence where there is no installation."""
        settings = self.load()
        if settings is None:
            raise click.ClickException(f"there is no Moorage in {self.path}; start one with `moor up`")
        return settings

    def save(self, settings: Settings) -> None:
        """Write the settings in one step."""
        fresh = self.settings_file.with_suffix(".new")
        fresh.write_bytes(msgspec.json.format(msgspec.json.encode(settings)))
        fresh.replace(self.settings_file)
