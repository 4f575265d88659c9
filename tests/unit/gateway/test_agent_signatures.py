"""Who signed an agent's handshake."""

from __future__ import annotations

import pytest

from moorage.api.call import Installation
from moorage.base.ids import AccessKeyId
from moorage.gateway.agents import Authenticate, signed_by
from moorage.gateway.chain import World
from moorage.link.refusal import Refusal
from moorage.model.principal import AccessKey
from moorage.store import Store
from moorage.store.events_memory import MemoryEvents
from moorage.store.journal import MemoryJournal
from moorage.wire.http import Request
from moorage.wire.signer import Signer
from tests.unit.gateway.test_agent_sockets import FixedClock, NoBody
from tests.unit.records import SCOPE
from tests.unit.support import ACCOUNT, NOW_S, REGION, SeededDice

QUERY = "clusterArn=default&containerInstanceArn=arn%3Aaws&seqNum=1"
KEY = AccessKeyId("AKIAIOSFODNN7EXAMPLE")


@pytest.fixture
def authenticate() -> Authenticate:
    store = Store(MemoryJournal())
    with store.update() as tx:
        tx.access_keys.put(AccessKey(id=KEY, secret="secret", account=ACCOUNT, kind="node", created_at=NOW_S))
    installation = Installation(account=ACCOUNT, regions=(REGION,), endpoint="http://127.0.0.1:8780")
    return signed_by(World(store, MemoryEvents(), installation, FixedClock(), SeededDice(), {}))


def handshake(secret: str = "secret", region: str = "us-east-1", service: str = "ecs") -> Request:
    signer = Signer(access_key_id=KEY, secret=secret, region=region, service=service)
    url = f"http://127.0.0.1:8780/acs/ws?{QUERY}"
    headers = signer.headers("GET", url, headers={}, body=b"", now_s=NOW_S)
    return Request(method="GET", path="/acs/ws", query=QUERY, headers=headers, peer="127.0.0.1", body=NoBody())


def test_an_agents_signature_tells_its_account_and_region(authenticate: Authenticate) -> None:
    assert authenticate(handshake()) == SCOPE


@pytest.mark.parametrize("bad", [{"secret": "other"}, {"region": "eu-west-1"}, {"service": "s3"}])
def test_a_signature_that_is_not_ours_is_denied(authenticate: Authenticate, bad: dict[str, str]) -> None:
    answer = authenticate(handshake(**bad))
    assert isinstance(answer, Refusal)
    assert answer.name == "AccessDeniedException"
    assert answer.text


def test_a_handshake_without_a_signature_is_denied(authenticate: Authenticate) -> None:
    bare = Request(method="GET", path="/acs/ws", query=QUERY, headers={}, peer="127.0.0.1", body=NoBody())
    answer = authenticate(bare)
    assert isinstance(answer, Refusal)
    assert answer.status == 403
