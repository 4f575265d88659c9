"""How the command speaks: tables and sentences for people, JSON for scripts, failures in one line."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import click
from rich.console import Console
from rich.table import Table

# A pipe has no width: its lines are as long as they are.
_PIPE_COLUMNS: Final = 1000
console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else _PIPE_COLUMNS)
errors = Console(stderr=True, highlight=False)


def show_json(value: object) -> None:
    """Print `value` for a script: one JSON document, times as ISO-8601."""
    click.echo(json.dumps(value, indent=2, default=str))


def show_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under upper-case headings, without a frame, so that they can be cut and grepped."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.upper(), overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table)


@contextmanager
def told_plainly() -> Iterator[None]:
    """Turn what the API or the network refuses into the command's own error."""
    # botocore is loaded by then: only its clients raise these.
    from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError

    try:
        yield
    except ClientError as error:
        refusal: dict[str, Any] = error.response.get("Error", {})
        raise click.ClickException(f"{refusal.get('Message') or error} ({refusal.get('Code', 'error')})") from error
    except EndpointConnectionError as error:
        raise click.ClickException(f"{error}; is the installation running? See `moor status`") from error
    except BotoCoreError as error:
        raise click.ClickException(str(error)) from error
