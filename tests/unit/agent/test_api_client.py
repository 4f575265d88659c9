"""Signed calls, and what their failures mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from moorage.agent.api import Api, ApiRefused, EcsApi, Reporter
from moorage.agent.background import Background
from moorage.agent.registration import NodeIdentity, attributes, register
from moorage.agent.spec import PortBinding, SandboxId
from moorage.agent.state import Registration, load_registration, save_registration
from moorage.agent.task import ContainerReport, Report
from moorage.base.errors import Unavailable
from moorage.model.container_instance import Resources
from moorage.wire.signer import Signer
from tests.unit.support import SeededDice

from .server import ScriptedApi, listening, run, until
from .world import NOW_S

ARN = "arn:aws:ecs:us-east-1:123456789012:container-instance/default/9f"
IDENTITY = NodeIdentity(
    cluster="default",
    region="us-east-1",
    fleet=False,
    zone="us-east-1a",
    isolation="namespaces",
    total=Resources(cpu=1024, memory=2048, ports_tcp=(22,)),
)


class StillClock:
    def now_s(self) -> float:
        return NOW_S

    def steady_s(self) -> float:
        return 0.0


def ecs_of(server: ScriptedApi) -> EcsApi:
    signer = Signer(access_key_id="AKIA", secret="s", region="us-east-1", service="ecs")
    return EcsApi(Api(server.client(), signer, StillClock()))


def test_a_report_says_what_the_published_agent_says() -> None:
    container = ContainerReport(
        name="app",
        status="STOPPED",
        runtime_id="r",
        digest="sha256:a",
        exit_code=0,
        reason="",
        ports=(PortBinding(container="app", container_port=80, host_port=32768),),
    )
    report = Report(
        task=SandboxId("4c"),
        arn="arn:t",
        cluster="arn:c",
        status="STOPPED",
        containers=(container,),
        pull_started_at=1.5,
    )

    async def work() -> None:
        async with listening(ScriptedApi()) as server:
            await ecs_of(server).submit(report)
            assert server.asked[0].operation == "SubmitTaskStateChange"
            assert "authorization" in server.asked[0].headers
            assert server.asked[0].body == {
                "cluster": "arn:c",
                "task": "arn:t",
                "status": "STOPPED",
                "containers": [
                    {
                        "containerName": "app",
                        "runtimeId": "r",
                        "status": "STOPPED",
                        "exitCode": 0,
                        "imageDigest": "sha256:a",
                        "networkBindings": [
                            {"bindIP": "0.0.0.0", "containerPort": 80, "hostPort": 32768, "protocol": "tcp"}
                        ],
                    }
                ],
                "pullStartedAt": 1.5,
            }

    run(work())


@pytest.mark.parametrize(
    ("status", "body", "final"),
    [
        (200, {"acknowledgment": "ACK"}, True),
        (400, {"__type": "InvalidParameterException", "message": "no such task"}, True),
        (400, {"__type": "ThrottlingException", "message": "slowly"}, False),
        (403, {"__type": "InvalidSignatureException", "message": "clock"}, False),
        (500, {"__type": "ServerException", "message": "oh"}, False),
        (503, {}, False),
    ],
)
def test_a_report_is_final_when_another_try_would_be_answered_alike(
    status: int, body: dict[str, Any], final: bool
) -> None:
    async def work() -> None:
        async with listening(ScriptedApi(answer=lambda *_: (status, body))) as server:
            told: list[bool] = []
            report = Report(task=SandboxId("4c"), arn="arn:t", cluster="c", status="RUNNING")
            Reporter(ecs_of(server), Background()).submit(report, told.append)
            await until(lambda: bool(told))
            assert told == [final]

    run(work())


def test_the_first_registration_makes_the_default_cluster_where_there_is_none(tmp_path: Path) -> None:
    clusters: list[str] = []

    def answer(operation: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if operation == "CreateCluster":
            clusters.append(body["clusterName"])
            return 200, {}
        if not clusters:
            return 400, {"__type": "ClusterNotFoundException", "message": "Cluster not found."}
        return 200, {"containerInstance": {"containerInstanceArn": ARN}}

    async def work() -> None:
        async with listening(ScriptedApi(answer=answer)) as server:
            found = await register(ecs_of(server), IDENTITY, tmp_path / "r.json", SeededDice())
            assert found == ARN
            assert clusters == ["default"]
            assert server.asked[-1].body["totalResources"][2] == {
                "name": "PORTS",
                "type": "STRINGSET",
                "stringSetValue": ["22"],
            }
            saved = load_registration(tmp_path / "r.json")
            assert saved is not None
            assert saved.container_instance == ARN

    run(work())


def test_an_instance_that_was_deregistered_registers_anew(tmp_path: Path) -> None:
    def answer(_: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if "containerInstanceArn" in body:
            return 400, {"__type": "InvalidParameterException", "message": "was deregistered"}
        return 200, {"containerInstance": {"containerInstanceArn": ARN}}

    async def work() -> None:
        file = tmp_path / "r.json"
        save_registration(file, Registration(container_instance="arn:old", cluster="default", region="us-east-1"))
        async with listening(ScriptedApi(answer=answer)) as server:
            assert await register(ecs_of(server), IDENTITY, file, SeededDice()) == ARN
            assert [asked.body.get("containerInstanceArn") for asked in server.asked] == ["arn:old", None]

    run(work())


def test_a_refusal_that_nothing_can_be_done_about_is_raised(tmp_path: Path) -> None:
    async def work() -> None:
        refusal = {"__type": "AccessDeniedException", "message": "no"}
        async with listening(ScriptedApi(answer=lambda *_: (400, refusal))) as server:
            with pytest.raises(ApiRefused, match="AccessDeniedException: no"):
                await register(ecs_of(server), IDENTITY, tmp_path / "r.json", SeededDice())

    run(work())


def test_an_answer_that_cannot_be_read_is_unavailable() -> None:
    async def work() -> None:
        async with listening(ScriptedApi(answer=lambda *_: (200, {"endpoint": 7}))) as server:
            with pytest.raises(Unavailable, match="cannot be read"):
                await ecs_of(server).discover("default", ARN)

    run(work())


def test_only_an_instance_claims_privileged_containers_and_a_zone() -> None:
    names = {attribute.name for attribute in attributes(IDENTITY)}
    assert {"com.amazonaws.ecs.capability.privileged-container", "ecs.availability-zone"} <= names
    fleet = NodeIdentity(
        cluster="f", region="us-east-1", fleet=True, zone=None, isolation="userns", total=Resources()
    )
    names = {attribute.name for attribute in attributes(fleet)}
    assert "moorage.capability.userns" in names
    assert not {"com.amazonaws.ecs.capability.privileged-container", "ecs.availability-zone"} & names
