"""What happens to every API request, in order. Adding a step is adding a line to CHAIN.

A step takes the world and the exchange and fills in the next part of the exchange, or refuses. After the last step
the answer waits until everything it was computed from is durable; only then is it written.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

import msgspec

from moorage.api.call import Call, EventLog, Installation, Later, Operation
from moorage.base.clock import Clock
from moorage.base.dice import Dice, uuid
from moorage.base.errors import Refused, Unavailable
from moorage.base.ids import Region, Scope
from moorage.base.limits import REQUEST_BODY_MAX_BYTES
from moorage.gateway.authorise import may_call
from moorage.gateway.requests import BadMember, Reader, not_supported, request_type
from moorage.model.principal import AccessKey
from moorage.store import Store
from moorage.wire.dispatch import Dispatcher, Misdirected, Target, unknown_operation
from moorage.wire.http import BodyTooLarge, Request, Response
from moorage.wire.protocol import Family
from moorage.wire.shapes import Input
from moorage.wire.validate import validate
from moorage.wire.verify import SignatureError, SigningKey, refusal, verify

# A disk that has not taken a write within this is broken or full. The caller is told so and may ask again; the
# write itself is still kept if the disk recovers.
DURABLE_WITHIN_S: Final = 20.0
# How soon it is told of a disk that has said itself that it is full; a commit takes milliseconds.
STALL_LOOK_S: Final = 1.0

_BAD_MEMBER: Final[Mapping[Family, str]] = {
    "json": "InvalidParameterException",
    "query": "ValidationError",
    "ec2": "InvalidParameterValue",
}
_NOT_SUPPORTED: Final[Mapping[Family, str]] = {
    "json": "InvalidParameterException",
    "query": "ValidationError",
    "ec2": "UnsupportedOperation",
}
_DENIED: Final[Mapping[Family, str]] = {
    "json": "AccessDeniedException",
    "query": "AccessDenied",
    "ec2": "UnauthorizedOperation",
}


class ServiceUnavailable(Refused):
    """Not the caller's fault, in truth: the one answer of this kind that is 5xx, so that clients try again."""

    code = "ServiceUnavailable"
    status = 503


@dataclass(frozen=True, slots=True)
class Route:
    """An operation of ours with the reader of its requests."""

    run: Operation
    reader: Reader[msgspec.Struct]


class Durable(Protocol):
    """What tells when everything that it took would survive a power cut, or why it takes no more."""

    @property
    def stall_reason(self) -> str | None:
        """What the disk says; None while it takes writes."""
        ...

    def when_durable(self, then: Callable[[], None]) -> None:
        """Call `then` once everything taken until now is durable; at once where it already is."""
        ...


class DurableEvents(EventLog, Durable, Protocol):
    """The event log as the gateway sees it."""


@dataclass(frozen=True, slots=True)
class World:
    """What the steps share."""

    store: Store
    events: DurableEvents
    installation: Installation
    clock: Clock
    dice: Dice
    routes: Mapping[tuple[str, str], Route]


@dataclass(slots=True)
class Exchange:
    """One request on its way through the chain."""

    request: Request
    body: bytes
    now_s: float
    target: Target
    key: AccessKey | None = None
    region: Region | None = None
    input: Input | None = None
    route: Route | None = None
    output: msgspec.Struct | Later[Any] | None = None


Step = Callable[[World, Exchange], None]


def routes_of(services: Mapping[str, Mapping[str, Operation]]) -> dict[tuple[str, str], Route]:
    """The route of every operation, by (service, operation)."""
    return {
        (service, name): Route(operation, Reader(request_type(operation)))
        for service, operations in services.items()
        for name, operation in operations.items()
    }


def authenticate(world: World, exchange: Exchange) -> None:
    """Who calls: the signature must be right, and made for a region that this installation serves."""
    family = exchange.target.protocol.family
    try:
        exchange.key, region = verified(
            world, exchange.request, exchange.body, exchange.target.service.facts.signed_as, exchange.now_s
        )
    except SignatureError as error:
        raise refusal(error, family) from error
    if region not in world.installation.regions:
        served = ", ".join(world.installation.regions)
        message = f"Credential should be scoped to a valid region: '{region}' is not served here, only {served}."
        raise Refused(message, code=refusal(SignatureError(), family).code)
    exchange.region = Region(region)


def verified(world: World, request: Request, body: bytes, service: str, now_s: float) -> tuple[AccessKey, str]:
    """The key that a request is signed with, and the region it is signed for; raises `SignatureError`."""
    keys = world.store.view().access_keys

    def secret_for(key_id: str) -> SigningKey | None:
        key = keys.get(key_id)
        return SigningKey(key.secret) if key else None

    signed = verify(request, hashlib.sha256(body).hexdigest(), now_s, secret_for, service)
    key = keys.get(signed.access_key_id)
    assert key is not None  # verify asked for its secret
    return key, signed.region


def find_route(world: World, exchange: Exchange) -> None:
    """Which of our operations it is; what AWS has and we have not is refused like what nobody has."""
    target = exchange.target
    exchange.route = world.routes.get((target.service.name, target.operation.name))
    if exchange.route is None:
        action = f"{target.service.name}:{target.operation.name}"
        raise unknown_operation(target.protocol.family, f"{action} is not built in this Moorage yet.")


def authorise(_world: World, exchange: Exchange) -> None:
    """Whether this caller may."""
    key, target = exchange.key, exchange.target
    assert key is not None
    if not may_call(key, target.service.name, target.operation.name):
        action = f"{target.service.facts.signed_as}:{target.operation.name}"
        message = f"User: {key.principal_arn} is not authorized to perform: {action}"
        raise Refused(
            message, code=_DENIED[target.protocol.family], status=400 if target.protocol.family == "json" else 403
        )


def parse(_world: World, exchange: Exchange) -> None:
    """The request's members by AWS's model; what the operation does not carry out is refused by name."""
    target, route = exchange.target, exchange.route
    assert route is not None
    exchange.input = target.protocol.parse(target.operation, exchange.request, exchange.body)
    validate(target.operation, exchange.input)
    unsupported = route.reader.unsupported(exchange.input)
    if unsupported:
        raise not_supported(unsupported, _NOT_SUPPORTED[target.protocol.family])


def call(world: World, exchange: Exchange) -> None:
    """The operation itself."""
    key, region, route = exchange.key, exchange.region, exchange.route
    assert key is not None
    assert region is not None
    assert route is not None
    assert exchange.input is not None
    try:
        request = route.reader.read(exchange.input)
    except BadMember as error:
        raise Refused(str(error), code=_BAD_MEMBER[exchange.target.protocol.family]) from error
    handed = Call(
        store=world.store,
        events=world.events,
        installation=world.installation,
        dice=world.dice,
        now_s=exchange.now_s,
        scope=Scope(key.account, region),
        principal_arn=key.principal_arn,
        user_id=key.user_id,
    )
    exchange.output = route.run(handed, request)


CHAIN: Final[tuple[Step, ...]] = (authenticate, find_route, authorise, parse, call)


class Gateway:
    """The chain as a handler of requests."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._dispatcher = Dispatcher({service for service, _ in world.routes})

    async def handle(self, request: Request) -> Response:
        """Answer one API request."""
        world = self._world
        request_id = uuid(world.dice)
        try:
            body = await request.body.read(REQUEST_BODY_MAX_BYTES)
            target = self._dispatcher.dispatch(request, body)
        except BodyTooLarge:
            return Response(status=413, headers=(("x-amzn-RequestId", request_id), ("Connection", "close")))
        except Misdirected as error:
            return error.protocol.refuse(error.refusal, request_id)
        exchange = Exchange(request, body, world.clock.now_s(), target)
        try:
            for step in CHAIN:
                step(world, exchange)
            output = exchange.output
            await self._durable()
            if isinstance(output, Later):
                output = await asyncio.get_running_loop().run_in_executor(None, output.work)
            assert not isinstance(output, Later)
        except Refused as error:
            return target.protocol.refuse(error, request_id, target.operation)
        except Unavailable as error:
            return target.protocol.refuse(ServiceUnavailable(str(error)), request_id, target.operation)
        return target.protocol.answer(target.operation, output, request_id)

    async def _durable(self) -> None:
        """Return once everything written until now would survive a power cut."""
        stores: tuple[Durable, ...] = (self._world.store, self._world.events)
        for store in stores:
            settled = asyncio.get_running_loop().create_future()
            store.when_durable(partial(_settle, settled))
            if not settled.done():
                await _until_settled(store, settled)


async def _until_settled(store: Durable, settled: asyncio.Future[None]) -> None:
    waited_s = 0.0
    while waited_s < DURABLE_WITHIN_S:
        done, _ = await asyncio.wait([settled], timeout=STALL_LOOK_S)
        if done:
            return
        if store.stall_reason is not None:
            break
        waited_s += STALL_LOOK_S
    why = store.stall_reason or "the disk is slow"
    raise ServiceUnavailable(f"{why}; what was written but not confirmed may still take effect")


def _settle(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
