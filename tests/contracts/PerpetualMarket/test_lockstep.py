"""The same random histories on model and contract, which agree on every slot to the wei."""

import random

import pytest

from backstop.model.arithmetic import WAD
from tests.support.deep import mark_long_cases
from tests.support.perpetual_steps import NAMES, take_random_step
from tests.support.perpetuals import Perpetuals, by_cycle


@pytest.mark.parametrize(
    "seed",
    mark_long_cases(
        range(20),
        range(1, 20),
        "tests/contracts/PerpetualMarket/test_lockstep.py::test_model_and_contract_agree",
    ),
)
def test_model_and_contract_agree(new_protocol, seed):
    dice = random.Random(seed)
    parameters = by_cycle(third_bond=WAD, taker_fee=5, maker_fee=2)
    market = Perpetuals(new_protocol(parameters, check_every=50).lockstep)
    market.do("MarginFund.insure", 10**3 * WAD, sender="rich")
    market.refresh()
    for name in NAMES:
        market.deposit(name, dice.randint(10**2, 10**4) * WAD)
    for _ in range(60):
        market.refresh()
        take_random_step(market, dice, in_time=dice.random() < 0.8)
    market.finish()
    market.check_woken()
