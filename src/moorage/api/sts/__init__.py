"""Does: AWS STS: who is calling.
May import: api.call, store, wire, link, rules, model, base.
Does not: hand out credentials; import another service.
"""

from typing import Final

from moorage.api.call import Operation
from moorage.api.sts.caller_identity import get_caller_identity

__all__ = ["OPERATIONS"]

OPERATIONS: Final[dict[str, Operation]] = {"GetCallerIdentity": get_caller_identity}
