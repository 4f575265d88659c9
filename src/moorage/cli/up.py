"""`moor up` and `moor down`: an installation begins and ends."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import click
import msgspec
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from moorage.base.ids import AccountId, Region
from moorage.cli import machine, programs
from moorage.cli.home import Home
from moorage.cli.output import console, errors, show_json
from moorage.cli.preflight import lacks, port_lack
from moorage.model.installation import ZONE_LETTERS, NodeSettings, ProgramState, Settings

DEFAULT_LISTEN: Final = "127.0.0.1:8780"
DEFAULT_ACCOUNT: Final = "123456789012"
DEFAULT_REGION: Final = "us-east-1"
REGION_NAME: Final = re.compile(r"[a-z]{2,8}(-[a-z]{1,16}){1,3}-[1-9][0-9]?")  # as in every partition until now
# cpu is shared by weight and can be promised more than once; memory never is.
FARGATE_CPU_OVERCOMMIT: Final = 4.0
# A cold start with an empty page cache takes some seconds; past this something is wrong and the logs say what.
READY_WITHIN_S: Final = 60.0
# A program that has died this often before it was ready will not be; its log says why.
DEATHS_MAX: Final = 3
# How soon the terminal is told of a supervisor that was killed or taken down from another one.
LOOK_PERIOD_S: Final = 0.5


@dataclass(frozen=True)
class Wanted:
    """What was asked for on the command line; None where last time's choice, or the default, holds."""

    listen: tuple[str, int] | None
    regions: tuple[str, ...]
    account: str | None
    vpc_cidr: str | None
    fargate_runtime: Literal["crun", "runc", "runsc"] | None
    fargate_share: float | None
    fargate_cpu_overcommit: float | None
    file_systems: tuple[tuple[str, str], ...]

    @property
    def changes_nodes(self) -> bool:
        asked = (self.fargate_runtime, self.fargate_share, self.fargate_cpu_overcommit)
        return any(value is not None for value in asked)


class ListenAddress(click.ParamType[tuple[str, int]]):
    """HOST:PORT, an IPv6 host in brackets."""

    name = "host:port"

    def convert(
        self, value: str | tuple[str, int], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        if isinstance(value, tuple):
            return value
        host, _, port = value.rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            self.fail(f"{value!r} is not HOST:PORT", param, ctx)
        return host.strip("[]"), int(port)


class FileSystem(click.ParamType[tuple[str, str]]):
    """A file system's id and the directory of this machine that stands for it."""

    name = "id=directory"

    def convert(
        self, value: str | tuple[str, str], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        id_, _, directory = value.partition("=")
        if not re.fullmatch("fs-[0-9a-f]{8,40}", id_) or not directory:
            self.fail(f"{value!r} is not fs-0123abcd=DIRECTORY", param, ctx)
        if not Path(directory).is_dir():
            self.fail(f"{directory} is not a directory of this machine", param, ctx)
        return id_, str(Path(directory).resolve())


@click.command()
@click.option("--detach", "-d", is_flag=True, help="Return once it is ready; `moor down` ends it.")
@click.option("--listen", type=ListenAddress(), help=f"Where the API answers. [default: {DEFAULT_LISTEN}]")
@click.option(
    "--region", "regions", multiple=True, help=f"A region to serve; repeatable. [default: {DEFAULT_REGION}]"
)
@click.option("--account", help=f"The account's 12 digits. [default: {DEFAULT_ACCOUNT}]")
@click.option("--vpc-cidr", help="Range of the default VPC. [default: one that is free here]")
@click.option(
    "--fargate-runtime",
    type=click.Choice(["crun", "runc", "runsc"]),
    help="What isolates Fargate tasks: a user namespace, or gVisor's kernel with runsc. [default: crun]",
)
@click.option(
    "--fargate-share",
    type=click.FloatRange(0, 1),
    help="Share of this machine's cpu and memory for Fargate; the container instance gets the rest. [default: 0.5]",
)
@click.option(
    "--fargate-cpu-overcommit",
    type=click.FloatRange(1, 64),
    help=f"How often Fargate's cpu may be promised. [default: {FARGATE_CPU_OVERCOMMIT:g}]",
)
@click.option(
    "--file-system",
    "file_systems",
    type=FileSystem(),
    multiple=True,
    help="ID=DIRECTORY: what volumes of an EFS file system mean on this machine; repeatable, kept until changed.",
)
def up(detach: bool, **options: Any) -> None:
    """Start Moorage on this machine: the server, a Fargate host and a container instance.

    In the foreground, Ctrl-C ends it as `moor down` does; SIGTERM stops the programs and leaves containers running.
    """
    home = Home.chosen()
    wanted = Wanted(**options)
    known = home.load()
    _refuse(lacks(wanted.fargate_runtime or _runtime(known)))
    with machine.deciding():
        known = home.load()
        ours = programs.SUPERVISOR not in programs.running(home)
        settings = _started(home, known, wanted) if ours or known is None else known
    try:
        _wait_until_ready(home)
    except (NotReady, KeyboardInterrupt):
        if ours:
            programs.stop(home)
        if known is None:
            take_down(home, settings)  # nothing of anybody's runs here yet
        raise
    if not ours:
        console.print(f"Moorage already runs in {home.path} at {settings.endpoint}")
        return
    _say_how_to_use_it(home, settings)
    if not detach:
        _stay(home, settings)


def _started(home: Home, known: Settings | None, wanted: Wanted) -> Settings:
    """Start the programs; the settings that they run with."""
    if programs.running(home):
        programs.stop(home)  # their supervisor was killed; what they ran goes on
    settings = _settings(known, wanted)
    _refuse(filter(None, [port_lack(settings.host, settings.port)]))
    home.create()
    home.save(settings)
    machine.claim(settings, home.path)
    programs.start_supervisor(home)
    return settings


class NotReady(click.ClickException):
    """The programs were started and did not become ready."""


def _refuse(lacks: Iterable[str]) -> None:
    missing = "\n".join(f"  - {lack}" for lack in lacks)
    if missing:
        raise click.ClickException(f"this machine is not ready:\n{missing}")


def _runtime(known: Settings | None) -> str:
    return known.nodes[0].runtime if known and known.nodes else "crun"


def _settings(known: Settings | None, wanted: Wanted) -> Settings:
    """Last time's settings with what was asked for now laid over them."""
    host, port = wanted.listen or ListenAddress()(DEFAULT_LISTEN)
    account = wanted.account or DEFAULT_ACCOUNT
    regions = tuple(Region(name) for name in wanted.regions or (DEFAULT_REGION,))
    for region in regions:
        if not REGION_NAME.fullmatch(region):
            raise click.ClickException(f"--region {region}: a region's name reads like us-east-1")
    if len(account) != 12 or not account.isdigit():
        raise click.ClickException(f"--account {account}: an account id has 12 digits")
    if known is None:
        own_id = machine.new_id()
        fresh = Settings(
            id=own_id,
            account=AccountId(account),
            regions=regions,
            host=host,
            port=port,
            vpc_cidr=machine.choose_vpc(own_id, wanted.vpc_cidr),
            nodes=(),
            file_systems=dict(wanted.file_systems),
        )
        return msgspec.structs.replace(fresh, nodes=_nodes(fresh, wanted))
    if wanted.vpc_cidr not in (None, known.vpc_cidr):
        raise click.ClickException(f"the default VPC exists with {known.vpc_cidr}; its range cannot be changed")
    if wanted.account not in (None, known.account):
        raise click.ClickException(f"this installation belongs to account {known.account}; that cannot be changed")
    machine.choose_vpc(known.id, known.vpc_cidr)  # refused where something else has taken the range meanwhile
    settings = msgspec.structs.replace(
        known,
        host=host if wanted.listen else known.host,
        port=port if wanted.listen else known.port,
        regions=regions if wanted.regions else known.regions,
        file_systems=known.file_systems | dict(wanted.file_systems),
    )
    if wanted.changes_nodes or settings.regions != known.regions:
        settings = msgspec.structs.replace(settings, nodes=_nodes(settings, wanted))
    return settings


def _nodes(settings: Settings, wanted: Wanted) -> tuple[NodeSettings, ...]:
    """This machine as a host of the Fargate fleet and as a container instance, in the first region."""
    cpu, memory = machine.capacity()
    share = 0.5 if wanted.fargate_share is None else wanted.fargate_share
    region = settings.regions[0]
    fleet_bridge = machine.choose_bridge(settings.id, [settings.vpc_cidr])
    fleet = NodeSettings(
        name="fargate",
        fleet=True,
        region=region,
        cpu=int(cpu * share * (wanted.fargate_cpu_overcommit or FARGATE_CPU_OVERCOMMIT)),
        memory=int(memory * share),
        bridge_cidr=fleet_bridge,
        runtime=wanted.fargate_runtime or "crun",
    )
    instance = NodeSettings(
        name="instance",
        fleet=False,
        region=region,
        zone=f"{region}{ZONE_LETTERS[0]}",
        cpu=int(cpu * (1 - share)),
        memory=int(memory * (1 - share)),
        bridge_cidr=machine.choose_bridge(settings.id, [settings.vpc_cidr, fleet_bridge]),
    )
    return tuple(node for node in (fleet, instance) if node.memory > 0)


def _wait_until_ready(home: Home) -> None:
    """Follow the supervisor's word until every program is ready; refused with its log where one is not."""
    deadline = time.monotonic() + READY_WITHIN_S
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as progress:
        line = progress.add_task("starting Moorage", total=None)
        while time.monotonic() < deadline:
            told = _told(home)
            waiting = [name for name, state in told.items() if not state.ready]
            if told and not waiting:
                return
            dying = any(told[name].deaths >= DEATHS_MAX for name in waiting)
            if dying or programs.SUPERVISOR not in programs.running(home):
                break
            progress.update(line, description=f"starting {', '.join(waiting) or 'Moorage'}")
            time.sleep(0.02)
    tail = (home.logs / "supervisor.log").read_text(errors="replace").splitlines()[-8:]
    raise NotReady("\n  ".join([f"Moorage did not start; {home.logs}/supervisor.log ends with:", *tail]))


def _told(home: Home) -> dict[str, ProgramState]:
    """The supervisor's word on each program; empty before it has spoken."""
    try:
        return msgspec.json.decode((home.run / programs.READY).read_bytes(), type=dict[str, ProgramState])
    except FileNotFoundError:
        return {}


def _say_how_to_use_it(home: Home, settings: Settings) -> None:
    console.print(f"Moorage answers at [bold]{settings.endpoint}[/bold], account {settings.account}")
    console.print(f"The root access key is in {home.credentials_file} (readable by its owner alone).")
    console.print('Use it with any AWS client:  [bold]eval "$(moor env)"[/bold]   then   aws ecs list-clusters')


def _stay(home: Home, settings: Settings) -> None:
    """Hold the terminal until a signal; Ctrl-C takes everything down, SIGTERM only the programs."""
    ends = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    console.print("Ctrl-C ends it and removes every container.")
    while (received := signal.sigtimedwait(ends, LOOK_PERIOD_S)) is None:
        if programs.SUPERVISOR not in programs.running(home):
            raise click.ClickException(f"the supervisor has ended; see {home.logs}, and start again with `moor up`")
    if received.si_signo == signal.SIGINT:
        take_down(home, settings)
    else:
        programs.stop(home)


@click.command()
@click.option("--purge", is_flag=True, help="Also delete the installation's data: state, images, logs, credentials.")
@click.option("--json", "as_json", is_flag=True, help="Answer for a script.")
def down(purge: bool, as_json: bool) -> None:
    """Stop Moorage and leave nothing behind: no process, container, mount, link, rule or cgroup."""
    home = Home.chosen()
    settings = home.load()
    if settings is not None:
        take_down(home, settings)
        if purge:
            shutil.rmtree(home.path)
    if as_json:
        show_json({"home": str(home.path), "wasInstalled": settings is not None, "purged": purge})
    elif settings is None:
        console.print(f"There is no Moorage in {home.path}; nothing to do.")
    else:
        console.print(
            "Moorage is down" + ("; its data is deleted." if purge else f"; its data stays in {home.path}.")
        )


def take_down(home: Home, settings: Settings) -> None:
    """End the programs, then remove all that each node has made on this machine."""
    programs.stop(home)
    for node in settings.nodes:
        swept = subprocess.run(
            [sys.executable, "-m", "moorage.boot.agent", "--home", str(home.path), "--node", node.name, "--sweep"],
            capture_output=True,
            text=True,
            check=False,
        )
        if swept.returncode:
            raise click.ClickException(f"node {node.name} could not be removed:\n{swept.stderr.strip()[-2000:]}")
    shutil.rmtree(home.run, ignore_errors=True)
    machine.release(settings)
