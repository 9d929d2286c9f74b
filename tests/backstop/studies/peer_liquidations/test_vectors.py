"""The functions agree with the peers' contracts: amounts, refusals and state, to the unit."""

import random

import pytest

from backstop.studies.peer_liquidations.vector_replay import GROUPS, replay_vector_group
from tests.support.peer_vectors import VECTORS, load_group

CASES = {
    "morpho_liquidate": 360,
    "morpho_accrue": 256,
    "aave": 530,
    "aave_deficit": 132,
    "euler": 330,
    "aave_v4_amounts": 763,
    "aave_v4_bonus": 75,
    "aave_v4_to_target": 50,
    "aave_v4_deficit": 12,
    "aave_v4_whole": 49,
    "liquity1": 200,
    "liquity2": 180,
    "liquity2_urgent": 80,
}


def test_every_group_has_its_file():
    assert set(CASES) == set(GROUPS) == {path.name.partition(".")[0] for path in VECTORS.glob("*.json.gz")}


@pytest.mark.parametrize("name", CASES)
def test_a_twentieth_of_the_cases_is_given_exactly(name):
    cases = load_group(name)
    assert len(cases) == CASES[name]
    drawn = random.Random(f"peer vectors {name}").sample(cases, -(-len(cases) // 20))
    assert replay_vector_group(name, drawn) == []


@pytest.mark.parametrize("name", CASES)
@pytest.mark.deep(
    brief="tests/backstop/studies/peer_liquidations/test_vectors.py::test_a_twentieth_of_the_cases_is_given_exactly"
)
def test_all_cases_are_given_exactly(name):
    assert replay_vector_group(name, load_group(name)) == []
