"""auction_limit_factor: the part of the auction limits in force; less than all in an emergency only."""

from backstop.model.arithmetic import RAD, RAY, WAD
from tests.support.auction_steps import WETH, liquidate_vault
from tests.support.guard_steps import CAUTION, EMERGENCY, NORMAL
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.vault_size_margin_and_call_steps import set_mode_as_circuit_breaker


def test_is_the_whole_but_for_an_emergency(guarded):
    guarded.do("RiskPolicy.set_effects", 0, 2_500, sender="admin")
    for mode, factor in ((NORMAL, 10_000), (CAUTION, 10_000), (EMERGENCY, 2_500)):
        set_mode_as_circuit_breaker(guarded, mode)
        assert guarded.read("RiskPolicy.auction_limit_factor") == factor


def test_liquidations_keep_to_it(guarded):
    guarded.borrow("borrower", "WETH", 10 * WAD, 12_000 * WAD)
    guarded.do("VaultEngine.set_auction_limit", WETH, 4_000, sender="admin")
    guarded.do("RiskPolicy.set_effects", 0, 25_000, sender="admin")
    guarded.post_price("WETH", 1_500 * RAY)
    set_mode_as_circuit_breaker(guarded, EMERGENCY)
    liquidate_vault(guarded)
    # In whole units of collateral: at most what one stands for is left.
    assert 0 <= 10_000 * RAD - guarded.read("VaultEngine.in_auction_of", WETH) < 10_000 * RAY
    set_mode_as_circuit_breaker(guarded, NORMAL)
    with reverts("liquidation_engine: no room"):
        liquidate_vault(guarded)
