"""satisfies_margin_call: whether a vault of a size is at or above its call ratio at the current price."""

import pytest

from backstop.model.arithmetic import RAD, RAY, WAD
from tests.support.auction_steps import WBTC, WETH
from tests.support.vault_size_margin_and_call_steps import (
    CALL,
    NONE,
    allow_calls,
    compute_collateral,
    compute_size_margin,
)

BRACKETS = ((4_000, 1_000), (8_000, 2_000))


def meets(protocol, locked, debt, c=WETH):
    return protocol.read("LiquidationEngine.satisfies_margin_call", c, locked, debt)


@pytest.mark.parametrize("debt", [RAD, 4_000 * RAD + 1, 10_000 * RAD])
def test_to_the_wei(guarded, debt):
    allow_calls(guarded)
    guarded.do("RiskPolicy.set_brackets", WETH, BRACKETS, NONE, sender="admin")
    least = compute_collateral(debt * CALL + compute_size_margin(BRACKETS, debt))
    assert meets(guarded, least, debt)
    assert not meets(guarded, least - 1, debt)


def test_without_debt_always(guarded):
    allow_calls(guarded)
    assert meets(guarded, 0, 0)
    guarded.advance(14_401)
    assert meets(guarded, 0, 0)


def test_without_calls_always(guarded):
    assert meets(guarded, 0, RAD)
    allow_calls(guarded)
    assert meets(guarded, 0, RAD, c=WBTC)
    assert not meets(guarded, 0, RAD)


def test_without_a_fresh_price_never(guarded):
    allow_calls(guarded)
    assert meets(guarded, WAD, RAD)
    guarded.advance(14_401)
    assert not meets(guarded, 2**103 - 1, 1)


def test_at_the_current_price_alone(guarded):
    allow_calls(guarded)
    debt = 1_000 * RAD
    least = compute_collateral(debt * CALL)
    guarded.post_next("WETH", RAY)
    guarded.do("RiskPolicy.set_growth_cap", WETH, 1, 0, sender="admin")
    assert meets(guarded, least, debt)


def test_the_types_brackets_are_no_part_of_it(guarded):
    allow_calls(guarded)
    guarded.do("RiskPolicy.set_brackets", WETH, NONE, ((0, 5_000), (0, 5_000)), sender="admin")
    assert meets(guarded, compute_collateral(RAD * CALL), RAD)
