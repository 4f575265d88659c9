"""The `moor` command."""

from __future__ import annotations

import click

from moorage import __version__
from moorage.cli.execute import execute
from moorage.cli.images import image
from moorage.cli.status import env, status
from moorage.cli.tasks import logs, ps, run, stop
from moorage.cli.up import down, up


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="moor")
def moor() -> None:
    """Amazon's container APIs on your own machine, with real containers behind them.

    MOORAGE_HOME names the directory of the installation that is meant; /var/lib/moorage otherwise.
    """


for command in (up, down, status, env, run, ps, logs, execute, stop, image):
    moor.add_command(command)


def main() -> None:
    """The console script."""
    moor()


if __name__ == "__main__":
    main()
