"""The same random histories on model and contract, which agree on every slot to the wei."""

import random

import pytest

from backstop.model.arithmetic import WAD
from tests.support.long_test_marks import build_pytest_params_with_deep_marks
from tests.support.perpetual_test_market import Perpetuals, build_cycle_market_parameters
from tests.support.random_perpetual_steps import NAMES, take_random_step


@pytest.mark.parametrize(
    "seed",
    build_pytest_params_with_deep_marks(
        range(20),
        range(1, 20),
        "tests/contracts/PerpetualMarket/test_lockstep.py::test_model_and_contract_agree",
    ),
)
def test_model_and_contract_agree(new_protocol, seed):
    dice = random.Random(seed)
    parameters = build_cycle_market_parameters(third_bond=WAD, taker_fee=5, maker_fee=2)
    market = Perpetuals(new_protocol(parameters, check_every=50).lockstep)
    market.do("MarginFund.insure", 10**3 * WAD, sender="rich")
    market.report_current_prices_again()
    for name in NAMES:
        market.deposit(name, dice.randint(10**2, 10**4) * WAD)
    for _ in range(60):
        market.report_current_prices_again()
        take_random_step(market, dice, in_time=dice.random() < 0.8)
    market.seize_and_roll_until_final()
    market.check_books_after_touching_all()
