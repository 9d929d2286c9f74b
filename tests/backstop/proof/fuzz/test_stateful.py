"""The same moves under Hypothesis: it chooses them and every choice inside them, and shrinks what fails."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from backstop.deployment.example_parameters import build_standard_parameters
from backstop.lockstep.lockstep_difference import DivergenceError
from backstop.proof.fuzz.fuzz_run import FuzzRun
from backstop.proof.fuzz.generator_registry import MOVES
from tests.support.revert_setter_and_source_helpers import edit_contracts


def state_machine(artifacts, host, parameters):
    """A machine that plays moves on one deployment, all state compared after every move."""
    opened = FuzzRun(host, 0, artifacts=artifacts, parameters=parameters, check_every=0, traces=None)

    class Moves(RuleBasedStateMachine):
        def __init__(self):
            super().__init__()
            self.machine = opened
            opened.scene.announced.clear()  # what another example announced is not there
            self.imagined = ExitStack()
            self.imagined.enter_context(opened.both.fork_state())

        @rule(name=st.sampled_from(sorted(MOVES)), dice=st.randoms(use_true_random=False))
        def play(self, name, dice):
            self.machine.scene.random = dice
            for _ in self.machine.play_all_actions_of_move(MOVES[name]):
                pass

        @invariant()
        def model_and_chain_agree(self):
            self.machine.both.compare_state()

        def teardown(self):
            self.imagined.close()

    return Moves


BOUNDED = settings(
    max_examples=20,
    stateful_step_count=10,
    phases=(Phase.generate, Phase.shrink),
    report_multiple_bugs=False,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    deadline=None,
)


def test_moves_that_hypothesis_chooses(artifacts, new_host):
    run_state_machine_as_test(
        state_machine(artifacts, new_host(), build_standard_parameters()), settings=BOUNDED
    )


# That campaigns find such a mistake, tests/backstop/proof/fuzz/test_seeded_bugs.py says in every run.
@pytest.mark.deep(brief="tests/backstop/proof/fuzz/test_stateful.py::test_moves_that_hypothesis_chooses")
def test_a_wrong_contract_is_found_and_the_moves_to_it_are_told(tmp_path, new_host):
    wrong = edit_contracts(tmp_path, "Stablecoin.vy", "_mint(to, amount)", "_mint(to, amount + 1)")
    with pytest.raises(DivergenceError) as caught:
        # What it chooses depends on all that is imported: leave it room.
        patient = settings(BOUNDED, max_examples=400)
        run_state_machine_as_test(
            state_machine(wrong, new_host(), build_standard_parameters()), settings=patient
        )
    assert [line for line in caught.value.__notes__ if "state.play(" in line]
    assert "Stablecoin" in str(caught.value)
