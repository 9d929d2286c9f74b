"""The constructor: wires the pool, and refuses terms out of bounds."""

from dataclasses import replace

import pytest

from tests.support.revert_setter_and_source_helpers import check_contract_creation_refused
from tests.support.stability_pool_steps import POOL, TERMS, WETH

DAY = 86_400


def list_arguments(protocol, **changes):
    names = "VaultEngine", "PriceFeed", "LiquidationEngine", "Stablecoin", "WETH"
    return *(protocol.address(name) for name in names), WETH, *replace(TERMS, **changes).contract_terms


@pytest.mark.parametrize(
    ("fits", "refused", "reason"),
    [
        ({"penalty": 3_333}, {"penalty": 3_334}, "stability_pool: penalty bounds"),
        # 1.05 * (1 - 0.0476) = 1.00002, and 1.05 * (1 - 0.0477) = 0.999915
        ({"reward": 476}, {"reward": 477}, "stability_pool: penalty bounds"),
        ({"penalty": 0, "reward": 0}, {"penalty": 0, "reward": 1}, "stability_pool: penalty bounds"),
        ({"reward": 0}, {"reward": 10_001}, "stability_pool: penalty bounds"),
        ({"entry_delay": 60}, {"entry_delay": 59}, "stability_pool: delay bounds"),
        ({"entry_delay": 90 * DAY}, {"entry_delay": 90 * DAY + 1}, "stability_pool: delay bounds"),
        ({"cooldown": 90 * DAY}, {"cooldown": 90 * DAY + 1}, "stability_pool: cooldown bounds"),
        ({"cooldown": 0}, {"vesting": 3_599}, "pool: short vesting"),
        ({"vesting": 365 * DAY}, {"vesting": 365 * DAY + 1}, "pool: long vesting"),
    ],
)
def test_bounds(pooled, fits, refused, reason):
    arguments = list_arguments(pooled, **refused)
    check_contract_creation_refused(pooled, "StabilityPool", *arguments, reason=reason)
    pooled.lockstep.create_contract("StabilityPool", "Fine", *list_arguments(pooled, **fits))


def test_wiring_and_terms(pooled):
    wired = [pooled.read(f"{POOL}.{name}") for name in ("VAULT_ENGINE", "PRICE_FEED", "LIQUIDATION_ENGINE")]
    wired += [pooled.read(f"{POOL}.{name}") for name in ("asset", "COLLATERAL", "COLLATERAL_TYPE")]
    terms = "PENALTY", "REWARD", "WRITES_OFF", "ENTRY_DELAY", "COOLDOWN", "VESTING"
    assert (*wired, *(pooled.read(f"{POOL}.{name}") for name in terms)) == list_arguments(pooled)
    assert pooled.read(f"{POOL}.UNIT") == 1
    assert pooled.read("StabilityPool.WBTC.UNIT") == 10**10
    assert pooled.read(f"{POOL}.state")[:3] == (10**36, 0, 0)
