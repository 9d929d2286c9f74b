"""Sales of random vaults to a stability pool: model and contract agree, and the rules hold."""

import random
from dataclasses import replace

import pytest

from backstop.model.arithmetic import BASIS_POINTS, RAD, RAY, div_up
from tests.support.stability_pool_steps import TERMS, WBTC, WETH, deploy_with_pool

PLANS = 1_500
POOLS = {WETH: ("StabilityPool.WETH", 1), WBTC: ("StabilityPool.WBTC", 10**10)}
MOST_COINS = 2**96 - 1 - 10**18


def draw_magnitude(dice: random.Random, least_bits: int, most_bits: int) -> int:
    """Draw a number of a random length in bits."""
    return dice.getrandbits(dice.randrange(least_bits, most_bits)) + 1


def draw_position(dice: random.Random, collateral_type: int) -> tuple[int, int, int, int, int, int, int]:
    """Draw a vault around its debt's worth, with a floor under, at or above its debt."""
    unit = POOLS[collateral_type][1]
    normalized_debt = draw_magnitude(dice, 1, 90)
    rate = RAY + dice.choice([0, draw_magnitude(dice, 1, 94)])
    debt, price = normalized_debt * rate, draw_magnitude(dice, 50, 106)
    share = dice.choice([dice.randrange(100, 13_000), 10_500, 10_000])
    locked = max(1, min(2**103 - 1, debt * share // BASIS_POINTS // price) // unit) * unit
    floor = dice.choice([0, debt * dice.randrange(100) // 100, debt, debt // 2, 2_000 * RAD])
    return locked, normalized_debt, rate, 12_500, floor, unit, price


@pytest.mark.parametrize("has_write_off", [False, True])
def test_random_vaults(new_protocol, has_write_off):
    protocol = deploy_with_pool(new_protocol, replace(TERMS, has_write_off=has_write_off))
    dice, kinds = random.Random(5), {"nothing": 0, "part": 0, "whole": 0}
    for _ in range(PLANS):
        c = dice.choice([WETH, WBTC])
        pool, unit = POOLS[c]
        locked, whole, rate, _, floor, _, price = position = draw_position(dice, c)
        debt = whole * rate
        due = div_up(debt, RAY)
        most = dice.choice([0, 1, due - 1, due, due + 1, due * dice.randrange(1_000) // 1_000, MOST_COINS])
        wanted = (*position, protocol.address(pool))
        collateral, part, paid, fee = protocol.read(f"{pool}.plan_sale", c, wanted, 0, min(most, MOST_COINS))
        kinds["nothing" if part == 0 else "whole" if part == whole else "part"] += 1
        bought = collateral - fee
        kept = bought - bought * TERMS.reward // BASIS_POINTS // unit * unit
        assert collateral <= locked and collateral % unit == fee % unit == 0
        # The payment is at most the debt, the collateral's worth, and the pool's coins.
        assert paid <= min(div_up(part * rate, RAY), div_up(kept * price, RAY), most)
        assert (bought == 0) == (paid == 0)
        # With the penalty at most, up to a unit of the token.
        assert (collateral - unit) * price * BASIS_POINTS <= part * rate * (BASIS_POINTS + TERMS.penalty)
        if 0 < part < whole:
            assert part * rate >= floor and (whole - part) * rate >= floor
            # The rest is no worse.
            assert (locked - collateral) * whole >= locked * (whole - part)
        covers_penalty = locked * price * BASIS_POINTS >= debt * (BASIS_POINTS + TERMS.penalty)
        if part == whole and covers_penalty and not fee:
            assert paid == due
    assert min(kinds.values()) > 50 or (has_write_off and kinds["whole"] == PLANS)
