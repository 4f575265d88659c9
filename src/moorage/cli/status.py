"""`moor status` and `moor env`: what runs, and how to reach it."""

from __future__ import annotations

import shlex

import click

from moorage import __version__
from moorage.cli import programs
from moorage.cli.client import Api
from moorage.cli.home import Home
from moorage.cli.output import console, show_json, show_table, told_plainly
from moorage.model.installation import Settings


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Answer for a script.")
def status(as_json: bool) -> None:
    """Tell whether Moorage runs, where, and what it has to give. Ends with 1 where it does not run."""
    home = Home.chosen()
    settings = home.require()
    alive = programs.running(home)
    expected = [programs.SUPERVISOR, "server", *(node.name for node in settings.nodes)]
    told: dict[str, object] = {
        "version": __version__,
        "home": str(home.path),
        "endpoint": settings.endpoint,
        "account": settings.account,
        "regions": list(settings.regions),
        "vpcCidr": settings.vpc_cidr,
        "programs": {name: alive.get(name) for name in expected},
        "clusters": _clusters(home) if "server" in alive else [],
    }
    if as_json:
        show_json(told)
    else:
        _print(told, settings)
    if set(expected) - set(alive):
        raise SystemExit(1)


def _clusters(home: Home) -> list[dict[str, object]]:
    api = Api(home)
    with told_plainly():
        arns = api.ecs.list_clusters()["clusterArns"]
        found = api.ecs.describe_clusters(clusters=arns)["clusters"] if arns else []
    return [
        {
            "name": one["clusterName"],
            "instances": one["registeredContainerInstancesCount"],
            "running": one["runningTasksCount"],
            "pending": one["pendingTasksCount"],
        }
        for one in found
    ]


def _print(told: dict[str, object], settings: Settings) -> None:
    console.print(f"Moorage {told['version']} in {told['home']}")
    console.print(f"endpoint {told['endpoint']}   account {told['account']}   regions {', '.join(settings.regions)}")
    running = told["programs"]
    assert isinstance(running, dict)
    show_table(("program", "pid"), [(name, str(pid) if pid else "not running") for name, pid in running.items()])
    clusters = told["clusters"]
    assert isinstance(clusters, list)
    if clusters:
        show_table(
            ("cluster", "instances", "running", "pending"), [tuple(str(v) for v in row.values()) for row in clusters]
        )


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Answer for a script.")
def env(as_json: bool) -> None:
    """Print what makes the AWS CLI and SDKs of this shell use Moorage: eval "$(moor env)"."""
    home = Home.chosen()
    settings = home.require()
    values = {
        "AWS_ENDPOINT_URL": settings.endpoint,
        "AWS_REGION": settings.regions[0],
        "AWS_DEFAULT_REGION": settings.regions[0],
        "AWS_SHARED_CREDENTIALS_FILE": str(home.credentials_file),
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    if as_json:
        show_json(values)
        return
    # These would win over the file.
    click.echo("unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_PROFILE")
    for name, value in values.items():
        click.echo(f"export {name}={shlex.quote(value)}")
