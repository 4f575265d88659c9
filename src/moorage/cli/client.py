"""Clients of the installation's public API, as any user of AWS has them."""

from __future__ import annotations

from typing import Any

import click

from moorage.cli.home import Home


class Api:
    """AWS clients that speak to one installation with its root key. Clients are made when first asked for."""

    def __init__(self, home: Home) -> None:
        self.settings = home.require()
        self._home = home
        self._session: Any = None
        self._clients: dict[str, Any] = {}

    def __getattr__(self, service: str) -> Any:
        """`api.ecs`, `api.logs`, …: the botocore client of that service."""
        if service.startswith("_"):
            raise AttributeError(service)
        if service not in self._clients:
            self._clients[service] = self._make(service)
        return self._clients[service]

    def _make(self, service: str) -> Any:
        # Imported here: it takes longer to load than most commands take to run.
        from botocore.config import Config
        from botocore.session import Session

        key, secret = self.root_key()
        session = self._session or Session()
        self._session = session
        return session.create_client(
            service,
            region_name=self.settings.regions[0],
            endpoint_url=self.settings.endpoint,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            config=Config(retries={"total_max_attempts": 2}, connect_timeout=5, ignore_configured_endpoint_urls=True),
        )

    def root_key(self) -> tuple[str, str]:
        """The root access key's id and secret."""
        values = {}
        try:
            lines = self._home.credentials_file.read_text().splitlines()
        except OSError as error:
            raise click.ClickException(f"the credentials cannot be read: {error}; has `moor up` finished?") from error
        for line in lines:
            name, _, value = line.partition("=")
            values[name.strip()] = value.strip()
        return values["aws_access_key_id"], values["aws_secret_access_key"]
