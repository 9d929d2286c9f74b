"""Terms of stability pools to fuzz: all within their bounds, delays mostly short."""

from __future__ import annotations

from random import Random

from backstop.deployment.parameter_dataclasses import StabilityPoolParameters
from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, div_up


def draw_pool_terms(random: Random, liquidation_ratio: int) -> StabilityPoolParameters:
    """Draw random terms of a stability pool that are valid for a liquidation ratio above 100%.

    The reward leaves the pool's members collateral worth at least the repaid debt.
    """
    most = min(liquidation_ratio - BASIS_POINTS - 1, bounds.MAX_LIQUIDATION_BONUS)
    penalty = random.choice((0, most // 3, min(500, most), most))
    room = BASIS_POINTS - div_up(BASIS_POINTS**2, BASIS_POINTS + penalty)
    return StabilityPoolParameters(
        penalty=penalty,
        reward=random.choice((0, min(1, room), min(50, room), room // 2, room)),
        has_write_off=random.random() < 0.4,
        entry_delay=random.choice((bounds.MIN_COOLDOWN, 600, 600, 3_600, bounds.MAX_COOLDOWN)),
        cooldown=random.choice((0, 600, 3_600, 86_400, bounds.MAX_COOLDOWN)),
        vesting=random.choice((bounds.MIN_VESTING, bounds.MIN_VESTING, 86_400, bounds.MAX_VESTING)),
    )
