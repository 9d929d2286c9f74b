"""Runs of long campaigns in which a property or a question was wrong; they pass now."""

import pytest

from backstop.hosts.revm import RevmHost
from backstop.proof.fuzz.fuzz_run import FuzzRun, derive_policy_balanced_run_seed, derive_run_seed

RUNS = {
    "a top-up without principal": derive_run_seed(424_242, 294),
    "room under a cap that two roundings leave": derive_run_seed(424_242, 327),
    "a workout of a few wei is paid by its first instalment": derive_run_seed(1, 161),
    "the last leaver has a doubt that the first made smaller": derive_policy_balanced_run_seed(
        20_261_125, 20
    ),
    "a leaver in parts has a smaller doubt in the second": derive_policy_balanced_run_seed(20_261_125, 196),
    "a newcomer has what leavers leave in doubt": derive_policy_balanced_run_seed(8_086, 13),
}


@pytest.mark.deep(cases=1)
@pytest.mark.parametrize("name", RUNS)
def test_it_passes(name, artifacts):
    machine = FuzzRun(RevmHost(), RUNS[name], artifacts=artifacts, check_every=100, traces=None)
    for _ in machine.play_random_steps(2_000):
        pass
    machine.both.audit_storage()
