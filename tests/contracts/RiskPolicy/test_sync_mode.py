"""sync_mode: anyone brings a type what holds for all; it can bring nothing else."""

import pytest

from tests.support.guard_steps import CAUTION, EMERGENCY, NORMAL
from tests.support.vault_size_margin_and_call_steps import set_mode_as_circuit_breaker


@pytest.mark.parametrize("mode", [NORMAL, CAUTION, EMERGENCY])
def test_a_type_ends_in_the_mode_of_all(guarded, mode):
    set_mode_as_circuit_breaker(guarded, mode)
    brackets = ((1, 2), (3, 4))
    guarded.do("RiskPolicy.set_brackets", 0, brackets, brackets, sender="admin")
    before = guarded.read("RiskPolicy.terms_of", 0)
    for sender in ("stranger", "admin", "guardian"):
        guarded.do("RiskPolicy.sync_mode", 0, sender=sender)
        assert guarded.read("RiskPolicy.terms_of", 0) == before
    assert before.mode == mode
