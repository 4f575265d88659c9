"""Our side of the public API: signed JSON 1.1 calls, and the ones an agent makes of ECS."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import msgspec

from moorage.agent.background import Background
from moorage.agent.http import HttpClient
from moorage.agent.task import ContainerReport, Report
from moorage.base.clock import Clock
from moorage.base.errors import MoorageError, Unavailable
from moorage.model.container_instance import Resources
from moorage.wire.signer import Signer

log = logging.getLogger(__name__)

R = TypeVar("R")

ROUND_TRIP_S: Final = 42.0  # the published agent's
REPORTS_AT_ONCE: Final = 10  # tasks in parallel, as the published agent does it
TARGETS: Final = {"ecs": "AmazonEC2ContainerServiceV20141113", "logs": "Logs_20140328"}
# Refusals that may be over after a while; all others of status 4xx are the caller's to think about.
PASSING: Final = frozenset({"ThrottlingException", "Throttling", "LimitExceededException", "ServerException"})


class ApiRefused(MoorageError):
    """The API understood and said no."""

    def __init__(self, operation: str, code: str, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(f"{operation}: {code}: {message}")


class _Error(msgspec.Struct, frozen=True):
    type: str = msgspec.field(name="__type", default="")
    message: str = ""
    other_message: str = msgspec.field(name="Message", default="")


class Api:
    """The installation's API, as one access key in one region sees it."""

    def __init__(self, http: HttpClient, signer: Signer, clock: Clock) -> None:
        self._http = http
        self._clock = clock
        self._url = f"{http.endpoint}/"
        self._signers = {
            name: msgspec.structs.replace(signer, service=name) for name in TARGETS
        }  # one for each service: the name is part of the signature
        self._encode = msgspec.json.Encoder().encode

    async def call(self, service: str, operation: str, request: msgspec.Struct, kind: type[R]) -> R:
        """One call. Raises `ApiRefused`, or `Unavailable` where trying again may help."""
        body = self._encode(request)
        headers = {
            "content-type": "application/x-amz-json-1.1",
            "x-amz-target": f"{TARGETS[service]}.{operation}",
        }
        signed = self._signers[service].headers(
            "POST", self._url, headers=headers, body=body, now_s=self._clock.now_s()
        )
        answer = await self._http.post("/", signed, body, ROUND_TRIP_S)
        if answer.status == 200:
            try:
                return msgspec.json.decode(answer.body or b"{}", type=kind)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise Unavailable(f"{operation}: an answer that cannot be read: {error}") from error
        raise _failure(operation, answer.status, answer.body)


def _failure(operation: str, status: int, body: bytes) -> MoorageError:
    try:
        error = msgspec.json.decode(body, type=_Error)
    except (msgspec.DecodeError, UnicodeDecodeError):
        error = _Error()
    code = error.type.rpartition("#")[2] or f"status {status}"
    message = error.message or error.other_message
    if status >= 500 or status == 429 or code in PASSING:
        return Unavailable(f"{operation}: {code}: {message}")
    return ApiRefused(operation, code, message)


# ---- ECS ----------------------------------------------------------------------------------------------------


class _Camel(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Absent members are left out."""


class Attribute(_Camel, frozen=True, kw_only=True):
    name: str
    value: str | None = None


class _Resource(_Camel, frozen=True, kw_only=True):
    name: str
    type: str
    integer_value: int | None = None
    string_set_value: tuple[str, ...] | None = None


class _RegisterContainerInstance(_Camel, frozen=True, kw_only=True):
    cluster: str
    container_instance_arn: str | None = None
    attributes: tuple[Attribute, ...]
    total_resources: tuple[_Resource, ...]
    client_token: str


class _Instance(_Camel, frozen=True, kw_only=True):
    container_instance_arn: str


class _Registered(_Camel, frozen=True, kw_only=True):
    container_instance: _Instance


class _CreateCluster(_Camel, frozen=True, kw_only=True):
    cluster_name: str


class _DiscoverPollEndpoint(_Camel, frozen=True, kw_only=True):
    container_instance: str
    cluster: str


class Endpoints(_Camel, frozen=True, kw_only=True):
    endpoint: str
    telemetry_endpoint: str | None = None


class _NetworkBinding(_Camel, frozen=True, kw_only=True):
    bind_ip: str = msgspec.field(name="bindIP")
    container_port: int
    host_port: int
    protocol: str


class _ContainerChange(_Camel, frozen=True, kw_only=True):
    container_name: str
    runtime_id: str | None = None
    status: str
    exit_code: int | None = None
    reason: str | None = None
    image_digest: str | None = None
    network_bindings: tuple[_NetworkBinding, ...] = ()


class _SubmitTaskStateChange(_Camel, frozen=True, kw_only=True):
    cluster: str
    task: str
    status: str
    reason: str | None = None
    containers: tuple[_ContainerChange, ...]
    pull_started_at: float | None = None
    pull_stopped_at: float | None = None
    execution_stopped_at: float | None = None


class _ListTagsForResource(_Camel, frozen=True, kw_only=True):
    resource_arn: str


class _Tag(msgspec.Struct, frozen=True):
    key: str
    value: str = ""


class _Tags(msgspec.Struct, frozen=True):
    tags: tuple[_Tag, ...] = ()


class _Nothing(msgspec.Struct, frozen=True):
    """An answer whose content is not read."""


class EcsApi:
    """What an agent asks of ECS."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def register(
        self,
        cluster: str,
        arn: str | None,
        attributes: Sequence[Attribute],
        total: Resources,
        token: str,
    ) -> str:
        """Register (again, with `arn`); the container instance's ARN."""
        request = _RegisterContainerInstance(
            cluster=cluster,
            container_instance_arn=arn,
            attributes=tuple(attributes),
            total_resources=_resources(total),
            client_token=token,
        )
        answer = await self._api.call("ecs", "RegisterContainerInstance", request, _Registered)
        return answer.container_instance.container_instance_arn

    async def create_cluster(self, name: str) -> None:
        await self._api.call("ecs", "CreateCluster", _CreateCluster(cluster_name=name), _Nothing)

    async def discover(self, cluster: str, arn: str) -> Endpoints:
        """Where the session's websocket is."""
        request = _DiscoverPollEndpoint(container_instance=arn, cluster=cluster)
        return await self._api.call("ecs", "DiscoverPollEndpoint", request, Endpoints)

    async def tags(self, arn: str) -> dict[str, str]:
        """The tags of a task or a container instance."""
        answer = await self._api.call("ecs", "ListTagsForResource", _ListTagsForResource(resource_arn=arn), _Tags)
        return {tag.key: tag.value for tag in answer.tags}

    async def submit(self, report: Report) -> None:
        """Tell of a task's state."""
        request = _SubmitTaskStateChange(
            cluster=report.cluster,
            task=report.arn,
            status=report.status,
            reason=report.reason or None,
            containers=tuple(_change(container) for container in report.containers),
            pull_started_at=report.pull_started_at,
            pull_stopped_at=report.pull_stopped_at,
            execution_stopped_at=report.execution_stopped_at,
        )
        await self._api.call("ecs", "SubmitTaskStateChange", request, _Nothing)


def _resources(total: Resources) -> tuple[_Resource, ...]:
    return (
        _Resource(name="CPU", type="INTEGER", integer_value=total.cpu),
        _Resource(name="MEMORY", type="INTEGER", integer_value=total.memory),
        _Resource(name="PORTS", type="STRINGSET", string_set_value=tuple(map(str, total.ports_tcp))),
        _Resource(name="PORTS_UDP", type="STRINGSET", string_set_value=tuple(map(str, total.ports_udp))),
    )


def _change(container: ContainerReport) -> _ContainerChange:
    return _ContainerChange(
        container_name=container.name,
        runtime_id=container.runtime_id or None,
        status=container.status,
        exit_code=container.exit_code,
        reason=container.reason or None,
        image_digest=container.digest or None,
        network_bindings=tuple(
            _NetworkBinding(
                bind_ip="0.0.0.0",
                container_port=port.container_port,
                host_port=port.host_port,
                protocol=port.protocol,
            )
            for port in container.ports
        ),
    )


class Reporter:
    """Sends reports, a bounded number at a time; who failed and tries again is the machine's to say."""

    def __init__(self, ecs: EcsApi, work: Background) -> None:
        self._ecs = ecs
        self._slots = asyncio.Semaphore(REPORTS_AT_ONCE)
        self._work = work

    def submit(self, report: Report, done: Callable[[bool], None]) -> None:
        """`done(True)`: taken, or refused for good; `done(False)`: worth another try."""
        self._work.spawn(self._send(report, done))

    async def _send(self, report: Report, done: Callable[[bool], None]) -> None:
        async with self._slots:
            try:
                await self._ecs.submit(report)
            except Unavailable as error:
                log.warning("reporting %s of %s: %s", report.status, report.task, error)
                final = False
            except ApiRefused as error:
                # Asked the same again, the answer would be the same; only keys and clocks get put right.
                final = error.code in ("InvalidParameterException", "ClientException", "ClusterNotFoundException")
                log.error("reporting %s of %s: %s", report.status, report.task, error)
            else:
                final = True
        done(final)
