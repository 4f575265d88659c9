"""What an installation has before its first request: keys, a default VPC and a Fargate fleet in each region.

Run at every start: what is there is left alone, so a region added later gets its own.
"""

from __future__ import annotations

import os
from pathlib import Path

from moorage.api.ec2.default_vpc import create_default_vpc
from moorage.base.dice import BASE32, URL_SAFE, Dice, letters
from moorage.base.ids import AccessKeyId, ClusterArn, Scope
from moorage.model.cluster import FARGATE_CLUSTER, Cluster
from moorage.model.installation import ZONE_LETTERS, Settings
from moorage.model.principal import AccessKey
from moorage.store import StateTx, Store


def prepare(store: Store, settings: Settings, dice: Dice, now_s: float) -> None:
    """Write into the state whatever of this is missing."""
    with store.update() as tx:
        for kind in ("root", "node"):
            if not any(key.kind == kind for key in tx.access_keys):
                tx.access_keys.put(_new_key(kind, settings, dice, now_s))
        for region in settings.regions:
            scope = Scope(settings.account, region)
            _ensure_fleet(tx, scope, now_s)
            create_default_vpc(tx, scope, settings.vpc_cidr, ZONE_LETTERS, dice)


def _new_key(kind: str, settings: Settings, dice: Dice, now_s: float) -> AccessKey:
    return AccessKey(
        id=AccessKeyId("AKIA" + letters(dice, 16, BASE32)),
        secret=letters(dice, 40, URL_SAFE),
        account=settings.account,
        kind="root" if kind == "root" else "node",
        created_at=now_s,
    )


def _ensure_fleet(tx: StateTx, scope: Scope, now_s: float) -> None:
    cluster = Cluster(
        arn=ClusterArn(scope.arn("ecs", f"cluster/{FARGATE_CLUSTER}")),
        name=FARGATE_CLUSTER,
        account=scope.account,
        region=scope.region,
        created_at=now_s,
        fargate=True,
    )
    if cluster.arn not in tx.clusters:
        tx.clusters.put(cluster)


def write_credentials(store: Store, home: Path) -> None:
    """Put the keys where `moor`, the AWS SDKs and the agents read them: `credentials` is the root's,
    `nodes/credentials` the agents'. Nobody but the owner can read either."""
    (home / "nodes").mkdir(mode=0o700, exist_ok=True)
    for kind, path in (("root", home / "credentials"), ("node", home / "nodes" / "credentials")):
        key = next(key for key in store.view().access_keys if key.kind == kind)
        text = f"[default]\naws_access_key_id = {key.id}\naws_secret_access_key = {key.secret}\n"
        fresh = path.with_name(f".{path.name}.new")
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "w") as file:
            file.write(text)
        fresh.replace(path)
