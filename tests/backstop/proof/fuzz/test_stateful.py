"""The same moves under Hypothesis: it chooses them and every choice inside them, and shrinks what fails."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from backstop.deployment.examples import standard
from backstop.hosts.by_name import new_host
from backstop.proof.difference import Divergence
from backstop.proof.fuzz.machine import Machine
from backstop.proof.fuzz.moves import MOVES
from tests.support.helpers import edited_contracts


def state_machine(artifacts, host_kind, parameters):
    """A machine that plays moves on one deployment, all state compared after every move."""

    class Moves(RuleBasedStateMachine):
        def __init__(self):
            super().__init__()
            self.host = new_host(host_kind)
            self.machine = Machine(
                self.host, 0, artifacts=artifacts, parameters=parameters, check_every=0, traces=None
            )

        @rule(name=st.sampled_from(sorted(MOVES)), dice=st.randoms(use_true_random=False))
        def play(self, name, dice):
            self.machine.scene.random = dice
            for _ in self.machine.play(MOVES[name]):
                pass

        @invariant()
        def model_and_chain_agree(self):
            self.machine.both.check()

        def teardown(self):
            self.host.close()

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


def test_moves_that_hypothesis_chooses(artifacts, host_kind):
    run_state_machine_as_test(state_machine(artifacts, host_kind, standard()), settings=BOUNDED)


def test_a_wrong_contract_is_found_and_the_moves_to_it_are_told(tmp_path, host_kind):
    wrong = edited_contracts(tmp_path, "Stablecoin.vy", "_mint(to, amount)", "_mint(to, amount + 1)")
    with pytest.raises(Divergence) as caught:
        # What it chooses depends on all that is imported: leave it room.
        patient = settings(BOUNDED, max_examples=400)
        run_state_machine_as_test(state_machine(wrong, host_kind, standard()), settings=patient)
    assert [line for line in caught.value.__notes__ if "state.play(" in line]
    assert "Stablecoin" in str(caught.value)
