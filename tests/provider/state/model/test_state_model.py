"""Whatever people, Airflow and death do to a task, in whatever order: every row once, and a record that says so.

A model of a few lines says which runs the record must name, and which rows must be there; hypothesis schedules, kills,
retries, clears, backfills and resets, and compares after every step.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter

import pytest
from hypothesis import HealthCheck, Phase, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from state_world import KEY, StateWorld

from nilus.errors import StateConflict

NEW_ROWS = st.integers(0, 4)
# A try has about sixty steps between which the process may die.
DEATH = st.none() | st.integers(0, 70)


class StateMachine(RuleBasedStateMachine):
    """Attributes: `committed`, the run ids that the record must name, oldest first."""

    @initialize()
    def begin(self):
        self.folder = tempfile.mkdtemp(prefix="nilus-state-model-")
        self.world = StateWorld(self.folder)
        self.committed = []
        self.number = 0

    def teardown(self):
        if hasattr(self, "world"):
            self.world.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    # What happens.

    @rule(grows=NEW_ROWS, death=DEATH)
    def schedule(self, grows, death):
        self.world.source += grows
        self._run(self._new_run(), death)

    @rule(data=st.data(), grows=NEW_ROWS, death=DEATH)
    def retry(self, data, grows, death):
        failed = self._runs("failed")
        assume(failed)
        self.world.source += grows
        self._run(data.draw(st.sampled_from(failed)), death)

    @rule(grows=NEW_ROWS, death=DEATH)
    def clear_the_newest(self, grows, death):
        assume(self.committed)
        self.world.source += grows
        self.world.states[self.committed[-1]] = None
        self._run(self.committed[-1], death)

    @rule(data=st.data())
    def clear_an_older_one_alone(self, data):
        assume(len(self._names()) > 1)
        run_id = data.draw(st.sampled_from(self._names()[:-1]))
        standing = [one for one in self._names()[self._names().index(run_id) + 1 :] if not self._is_open(one)]
        assume(standing)
        before = (self.world.store.read(KEY), self._landed_rows())
        self.world.states[run_id] = None
        outcome = self.world.run(run_id)
        assert "cannot be run again by itself" in str(outcome), outcome
        assert (self.world.store.read(KEY), self._landed_rows()) == before

    @rule(data=st.data(), grows=NEW_ROWS)
    def clear_with_future(self, data, grows):
        assume(self.committed)
        names = self._names()
        first = data.draw(st.integers(0, len(names) - 1))
        future = [*names[first:], *(run for run in self._runs("failed") if run not in names)]
        for run_id in future:
            self.world.states[run_id] = None
        self.world.source += grows
        for run_id in data.draw(st.permutations(future)):
            self._run(run_id, data.draw(DEATH))

    @rule(day=st.integers(0, 9), death=DEATH)
    def backfill(self, day, death):
        run_id = f"backfill__{day}"
        assume(self.world.states.get(run_id) != "success")
        self.world.windows[run_id] = list(range(day * 3, day * 3 + 3))
        self._run_window(run_id, death)

    @rule(data=st.data(), death=DEATH)
    def clear_a_backfill(self, data, death):
        done = [run_id for run_id in self.world.windows if self.world.states.get(run_id) == "success"]
        assume(done)
        run_id = data.draw(st.sampled_from(done))
        self.world.states[run_id] = None
        self._run_window(run_id, death)

    @rule(grows=NEW_ROWS, death=DEATH)
    def reset(self, grows, death):
        assume(self.world.record.commits and not self._unrecorded())
        self.world.source += grows
        self.world.reset()
        self.committed = []
        for run_id, state in self.world.states.items():
            if state != "success" and run_id not in self.world.windows:
                self.world.states[run_id] = "skipped"  # nobody runs again what was before the reset
        self._run(self._new_run(), death)

    # What must be true.

    @invariant()
    def every_commit_of_the_record_has_its_rows_once(self):
        if not hasattr(self, "world"):
            return
        by_load = self._landed_rows()
        directive = self.world.record.directive
        if directive and (directive.removes or directive.removes_after):
            return  # rows are about to be removed
        begin = 0
        for commit in reversed(self.world.record.commits):
            end = self.world.last(commit.state)
            rows = [row for load_id in commit.load_ids for row in by_load.get(load_id, [])]
            assert sorted(rows) == list(range(begin + 1, end + 1)), (commit, rows)
            begin = end

    @invariant()
    def windows_that_are_over_have_their_rows_once(self):
        if not hasattr(self, "world"):
            return
        over = [run_id for run_id in self.world.windows if self.world.states.get(run_id) == "success"]
        wanted = Counter(row for run_id in over for row in self.world.windows[run_id])
        entries = self.world.open_entries()
        found = Counter(row for row, load_id in self.world.rows("windows") if entries.get(load_id, ("",))[0] in over)
        assert found == wanted

    def _run(self, run_id, death):
        before, names, pending = self.world.record, self._names(), self._unrecorded()
        outcome = self.world.run(run_id, die_after=death)
        assert not isinstance(outcome, StateConflict), outcome
        if outcome == "success":
            self._check_success(run_id, names, pending)
        elif outcome == "killed":
            self._check_death(run_id, names, pending)
        else:
            assert self.world.record == before, "an error moved the record"
            assert self._refusal_is_due(run_id, before, names, pending), outcome
        self.committed = self._names()

    def _check_success(self, run_id, names, pending):
        last = self.world.last(self.world.record.state)
        assert sorted(row for row, _ in self.world.rows("items")) == list(range(1, last + 1))
        stateful = [load for load, (_, reading) in self.world.open_entries().items() if reading == "cursor"]
        assert set(stateful) <= self.world.landed(), "an entry is unsettled"
        assert not self._unrecorded()
        assert last == self.world.source or run_id in pending, "rows are missing"
        wanted = names
        if run_id in names:
            wanted = self._still_standing(names, run_id)
        else:
            wanted = [*names, *(one for one in pending if one != run_id)]
        assert self._names() in (wanted, [*wanted, run_id]), (self._names(), wanted)
        if last > self.world.last(self._state_of(wanted)):
            assert self._names()[-1] == run_id

    def _check_death(self, run_id, names, pending):
        found = self._names()
        stands = self._still_standing(names, run_id) if run_id in names else names
        with_pending = [*stands, *(one for one in pending if one != run_id)]
        assert found in (names, stands, [*stands, run_id], with_pending, [*with_pending, run_id]), found
        assert len(self._unrecorded()) <= 1

    def _refusal_is_due(self, run_id, before, names, pending):
        """A run may be refused only if later runs went on from it, or if a load that nobody recorded stands after it.

        So may any run where a run that was made again died between its load and its record: that one goes first.
        """
        others = [one for one in pending if one != run_id]
        if run_id in names:
            later = names[names.index(run_id) + 1 :]
            return any(not self._is_open(one) for one in later) or bool(others)
        return len(pending) > 1

    def _still_standing(self, names, run_id):
        """The commits that are left when those at the end that are open, this run's included, are taken back."""
        standing = list(names)
        while standing and (standing[-1] == run_id or self._is_open(standing[-1])):
            standing.pop()
        return standing

    def _is_open(self, run_id):
        return self.world.states.get(run_id) is None

    def _state_of(self, names):
        by_run = {commit.run_id: commit for commit in self.world.record.commits}
        return by_run[names[-1]].state if names and names[-1] in by_run else {}

    def _run_window(self, run_id, death):
        before = self.world.record
        outcome = self.world.run(run_id, die_after=death)
        assert outcome in ("success", "killed"), outcome
        assert self.world.record == before, "a window moved the record"
        if outcome == "success":
            landed = self.world.landed()
            assert all(load_id in landed for _, load_id in self.world.rows("windows"))

    def _new_run(self):
        self.number += 1
        return f"scheduled__{self.number}"

    def _runs(self, state):
        return [run for run, found in self.world.states.items() if found == state and run not in self.world.windows]

    def _names(self):
        return [commit.run_id for commit in reversed(self.world.record.commits)]

    def _unrecorded(self):
        """Runs whose load is complete, not swept and not in the record: they died between the two."""
        record = self.world.record
        known = {load_id for commit in record.commits for load_id in commit.load_ids}
        newest = max(map(float, record.known_load_ids), default=0.0)
        landed = self.world.landed()
        return [
            run_id
            for load_id, (run_id, reading) in self.world.open_entries().items()
            if reading == "cursor" and load_id in landed and load_id not in known and float(load_id) > newest
        ]

    def _landed_rows(self):
        landed, by_load = self.world.landed(), {}
        for row, load_id in self.world.rows("items"):
            if load_id in landed:
                by_load.setdefault(load_id, []).append(row)
        return by_load


COMMON = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "database": None,
    "phases": [Phase.generate, Phase.shrink],
    "print_blob": True,
}


def test_every_row_is_there_once_whatever_happens_to_a_task():
    profile = settings(max_examples=4, stateful_step_count=10, derandomize=True, **COMMON)
    run_state_machine_as_test(StateMachine, settings=profile)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_every_row_is_there_once_whatever_happens_to_a_task_for_long():
    profile = settings(max_examples=200, stateful_step_count=25, **COMMON)
    run_state_machine_as_test(StateMachine, settings=profile)
