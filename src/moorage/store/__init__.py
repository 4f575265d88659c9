"""Does: the truth: typed tables in memory, one door to them, a journal behind it. Beside it log events and metrics.
May import: model, base.
Does not: know any operation, talk to a network, wait inside a transaction.
"""

from moorage.store.state import State, StateTx
from moorage.store.store import Stalled, Store

__all__ = ["Stalled", "State", "StateTx", "Store"]
