"""Telemetry frames, with the header block that agents put before them."""

from __future__ import annotations

import pytest

from moorage.link import tcs
from moorage.link.acs import BadFrame

ENVELOPE = (
    '{"type":"PublishMetricsRequest","message":{"metadata":{"cluster":"lab","containerInstance":"arn:i","idle":false,'
    '"fin":true,"messageId":"q-1"},"timestamp":1767225620.0,"taskMetrics":[{"taskArn":"arn:t","containerMetrics":'
    '[{"containerName":"app","cpuStatsSet":{"min":0.1,"max":4.2,"sum":21.5,"sampleCount":19},"networkStatsSet":{}}]}]}}'
)


def test_the_envelope_follows_the_first_empty_line() -> None:
    message = tcs.decode(f"Host: example\r\nX-Amz-Date: 20260101T000000Z\r\n\r\n{ENVELOPE}")
    assert isinstance(message, tcs.PublishMetricsRequest)
    assert message.metadata.fin
    stats = message.task_metrics[0].container_metrics[0].cpu_stats_set
    assert stats is not None
    assert stats.sample_count == 19


def test_a_bare_envelope_is_read_as_well() -> None:
    assert tcs.decode(ENVELOPE) == tcs.decode(f"Host: x\r\n\r\n{ENVELOPE}")


@pytest.mark.parametrize("text", ["", "Host: x", "Host: x\r\n\r\n", "{", '{"type":"PublishMetricsRequest"}'])
def test_what_cannot_be_read_is_told_apart(text: str) -> None:
    with pytest.raises(BadFrame):
        tcs.decode(text)


def test_every_publish_has_its_acknowledgement() -> None:
    assert isinstance(tcs.answer(tcs.PublishMetricsRequest()), tcs.AckPublishMetric)
    assert isinstance(tcs.answer(tcs.PublishHealthRequest()), tcs.AckPublishHealth)
    assert isinstance(tcs.answer(tcs.PublishInstanceStatusRequest()), tcs.AckPublishInstanceStatus)
    assert tcs.encode(tcs.AckPublishMetric(message="ok")) == '{"type":"AckPublishMetric","message":{"message":"ok"}}'
    assert tcs.encode(tcs.HeartbeatMessage(healthy=True)) == '{"type":"HeartbeatMessage","message":{"healthy":true}}'
