"""Whatever is done to a store, it holds what a dictionary would, its indexes agree, and its journal rebuilds it."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec.structs import replace

from moorage.base.ids import ContainerInstanceArn, TaskArn
from moorage.model.task import Task
from moorage.store import Store
from moorage.store.journal import MemoryJournal
from tests.unit.records import a_task

_INSTANCES = tuple(ContainerInstanceArn(f"arn:instance/{letter}") for letter in "abc")


class _Undo(Exception):
    pass


_Change = tuple[int, ContainerInstanceArn, str]
_CHANGE = st.tuples(st.integers(0, 6), st.sampled_from(_INSTANCES), st.sampled_from(["RUNNING", "STOPPED", "gone"]))


class StoreModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.journal = MemoryJournal()
        self.store = Store(self.journal)
        self.model: dict[TaskArn, Task] = {}

    @rule(changes=st.lists(_CHANGE, max_size=6), fails=st.booleans())
    def transact(self, changes: list[_Change], fails: bool) -> None:
        model = dict(self.model)
        try:
            with self.store.update() as tx:
                for number, instance, status in changes:
                    task = replace(a_task(), arn=TaskArn(f"arn:task/{number}"), instance=instance, last_status=status)
                    if status == "gone":
                        tx.tasks.delete(task.arn)
                        model.pop(task.arn, None)
                    else:
                        model[task.arn] = tx.tasks.put(task)
                    assert {task.arn: task for task in tx.tasks} == model
                if fails:
                    raise _Undo
        except _Undo:
            return
        self.model = model

    @rule()
    def restart(self) -> None:
        self.store = Store(self.journal)

    @invariant()
    def it_holds_what_the_model_holds(self) -> None:
        state = self.store.view()
        assert {task.arn: task for task in state.tasks} == self.model
        for instance in _INSTANCES:
            held = [task for task in self.model.values() if task.instance == instance and not task.stopped]
            assert sorted(task.arn for task in state.tasks.by("instance", instance)) == sorted(t.arn for t in held)
            assert state.usage.tasks_on(instance) == len(held)
            assert state.usage.of(instance).cpu == sum(task.reserved.cpu for task in held)


TestStoreModel = StoreModel.TestCase
TestStoreModel.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)
