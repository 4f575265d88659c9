"""The frames of the agents' connection, read and written as published."""

from __future__ import annotations

import json

import pytest

from moorage.link import acs
from moorage.link.refusal import BODY_MAX_BYTES, Refusal, parse

PUBLISHED_PAYLOAD = {
    "type": "PayloadMessage",
    "message": {
        "clusterArn": "arn:aws:ecs:us-east-1:111122223333:cluster/lab",
        "containerInstanceArn": "arn:aws:ecs:us-east-1:111122223333:container-instance/lab/9f",
        "messageId": "m-41",
        "seqNum": 41,
        "generatedAt": 1767225600000,
        "tasks": [
            {
                "arn": "arn:aws:ecs:us-east-1:111122223333:task/lab/4c",
                "family": "web",
                "version": "7",
                "desiredStatus": "RUNNING",
                "taskClusterArn": "arn:aws:ecs:us-east-1:111122223333:cluster/lab",
                "networkMode": "bridge",
                "cpu": 0.5,
                "memory": 256,
                "overrides": "{}",
                "volumes": [{"name": "tmp", "type": "host", "host": {"sourcePath": "/srv/tmp"}}],
                "containers": [
                    {
                        "name": "app",
                        "image": "registry.local/app:3",
                        "essential": True,
                        "dependsOn": [{"containerName": "init", "condition": "SUCCESS"}],
                        "portMappings": [{"containerPort": 8080, "hostPort": 0, "protocol": "tcp"}],
                        "dockerConfig": {"version": "1.30", "config": "{}", "hostConfig": "{}"},
                    }
                ],
            }
        ],
    },
}


def test_a_published_payload_is_read() -> None:
    message = acs.decode(json.dumps(PUBLISHED_PAYLOAD))
    assert isinstance(message, acs.PayloadMessage)
    assert (message.message_id, message.seq_num) == ("m-41", 41)
    (task,) = message.tasks
    assert (task.desired_status, task.network_mode, task.cpu) == ("RUNNING", "bridge", 0.5)
    assert task.containers[0].port_mappings[0].host_port == 0


def test_members_that_nobody_carries_out_are_seen_so_that_they_can_be_refused() -> None:
    message = acs.decode(json.dumps(PUBLISHED_PAYLOAD))
    assert isinstance(message, acs.PayloadMessage)
    assert len(message.tasks[0].volumes) == 1
    assert len(message.tasks[0].containers[0].depends_on) == 1


def test_a_message_of_an_unknown_type_is_nothing() -> None:
    assert acs.decode('{"type":"FutureMessage","message":{"x":1}}') is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"type":"AckRequest"}', '{"type":"AckRequest","message":{"messageId":7}}', "\ud800"]
)
def test_what_cannot_be_read_is_told_apart(text: str) -> None:
    with pytest.raises(acs.BadFrame):
        acs.decode(text.encode("utf-8", "surrogatepass"))


def test_every_message_comes_back_as_it_went() -> None:
    identifier = acs.TaskIdentifier(task_arn="t", task_cluster_arn="c", desired_status="STOPPED")
    messages: list[acs.Message] = [
        acs.HeartbeatMessage(message_id="1", healthy=True),
        acs.PayloadMessage(cluster_arn="c", container_instance_arn="i", message_id="2", seq_num=3),
        acs.TaskManifestMessage(
            message_id="3", cluster_arn="c", container_instance_arn="i", timeline=4, tasks=(identifier,)
        ),
        acs.TaskStopVerificationAck(message_id="4", stop_tasks=(identifier,)),
        acs.HeartbeatAckRequest(message_id="5"),
        acs.AckRequest(cluster="c", container_instance="i", message_id="6"),
        acs.NackRequest(cluster="c", container_instance="i", message_id="7", reason="no"),
        acs.IAMRoleCredentialsAckRequest(message_id="8", credentials_id="k"),
        acs.TaskStopVerificationMessage(message_id="9", stop_candidates=(identifier,)),
    ]
    assert [acs.decode(acs.encode(message)) for message in messages] == messages


def test_names_on_the_wire_are_the_published_ones() -> None:
    interface = acs.NetworkInterface(
        attachment_arn="a",
        ec2_id="eni-1",
        mac_address="02:00:00:00:00:01",
        ipv4_addresses=(acs.Ipv4Address(primary=True, private_address="10.0.0.9"),),
        subnet_gateway_ipv4_address="10.0.0.1/24",
    )
    message = acs.AttachTaskNetworkInterfacesMessage(
        message_id="m",
        cluster_arn="c",
        container_instance_arn="i",
        task_arn="t",
        task_cluster_arn="c",
        wait_timeout_ms=1000,
        elastic_network_interfaces=(interface,),
    )
    wire = json.loads(acs.encode(message))["message"]
    assert wire["waitTimeoutMs"] == 1000
    assert wire["elasticNetworkInterfaces"] == [
        {
            "attachmentArn": "a",
            "ec2Id": "eni-1",
            "macAddress": "02:00:00:00:00:01",
            "ipv4Addresses": [{"primary": True, "privateAddress": "10.0.0.9"}],
            "subnetGatewayIpv4Address": "10.0.0.1/24",
        }
    ]


def test_a_refusal_has_one_key_and_fits_into_what_the_agent_reads() -> None:
    refusal = Refusal("InactiveInstanceException", "gone\x01" * 1000)
    assert len(refusal.body()) <= BODY_MAX_BYTES
    parsed = parse(refusal.body())
    assert parsed is not None
    assert parsed[0] == "InactiveInstanceException"
    assert parse('{"type":"HeartbeatMessage","message":{}}') is None
    assert parse("{}") is None
