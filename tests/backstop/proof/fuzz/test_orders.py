"""Orders that the fuzzer signs have words of 256 bits, also of an account that cancelled all its orders."""

from __future__ import annotations

from backstop.hosts.host_registry import open_host
from backstop.model.arithmetic import MAX_UINT256, WAD
from backstop.proof.fuzz.action_generators.cycle_trading_actions import (
    TRADERS,
    MarketView,
    iter_order_fill_calls,
)
from backstop.proof.fuzz.fuzz_run import FuzzRun, derive_policy_balanced_run_seed
from backstop.system import Action

WITH_A_MARGIN_MARKET = derive_policy_balanced_run_seed(1, 2)


def test_an_account_whose_every_nonce_is_cancelled_signs_still(artifacts):
    maker, taker = TRADERS[:2]
    with open_host("revm") as host:
        machine = FuzzRun(host, WITH_A_MARGIN_MARKET, artifacts=artifacts, check_every=0, traces=None)
        scene, nonces = machine.scene, set()
        scene.world.contracts["MarginOrders"].tables["nonce_floor"][taker] = MAX_UINT256
        for _ in range(100):
            filled = iter_order_fill_calls(scene, MarketView(scene), (maker, taker), 0, 1, WAD)
            for action in (each for each in filled if isinstance(each, Action)):
                nonces |= {action.args[0].nonce, action.args[2].nonce}
    assert MAX_UINT256 in nonces
