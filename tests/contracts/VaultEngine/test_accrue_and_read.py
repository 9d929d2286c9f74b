"""accrue_and_read: the values for a liquidation, after charging the fee."""

from backstop.model.arithmetic import RAD, RAY, WAD
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.vault_size_margin_and_call_steps import (
    allow_calls,
    margin_call_ether_vault_as_stranger,
    open_vault_below_call_ratio,
)

WETH, WBTC = 0, 1


def test_gives_the_vault_after_the_fee(protocol):
    protocol.borrow("borrower", "WETH", 10 * WAD, 6_000 * WAD)
    protocol.advance(86_400)
    state = protocol.do("VaultEngine.accrue_and_read", WETH, "borrower", 10_000, sender="stranger")
    assert state[0] == 10 * WAD
    assert state[1] * state[2] > 6_000 * RAD
    assert state[3] == protocol.read("VaultEngine.terms_of", WETH)[3]
    assert state[4] == protocol.read("VaultEngine.debt_floor_of", WETH) * RAD
    assert state[6] == 1


def test_room_is_the_smaller_of_the_two_limits(protocol):
    protocol.do("VaultEngine.set_auction_limit", WETH, 500, sender="admin")
    protocol.do("VaultEngine.set_global_auction_limit", 400, sender="admin")
    assert (
        protocol.do("VaultEngine.accrue_and_read", WETH, "borrower", 10_000, sender="stranger")[5]
        == 400 * RAD
    )
    protocol.do("VaultEngine.set_auction_limit", WETH, 300, sender="admin")
    assert (
        protocol.do("VaultEngine.accrue_and_read", WETH, "borrower", 10_000, sender="stranger")[5]
        == 300 * RAD
    )


def test_the_global_limit_counts_the_auctions_of_all_types(protocol):
    for symbol, price in (("WETH", 1_000), ("WBTC", 30_000)):
        protocol.borrow(
            "borrower", symbol, 8_000 * WAD * RAY // protocol.get_or_renew_risk_price(symbol) * 2, 8_000 * WAD
        )
        protocol.post_price(symbol, price * RAY)
        c = protocol.get_collateral_type(symbol)
        protocol.do("LiquidationEngine.liquidate", c, "borrower", "liquidator", sender="liquidator")
    used = [protocol.read("VaultEngine.in_auction_of", c) for c in range(3)]
    assert used[WETH] > 8_000 * RAD and used[WBTC] > 8_000 * RAD
    protocol.do("VaultEngine.set_global_auction_limit", 20_000, sender="admin")
    for c in range(3):
        room = protocol.do("VaultEngine.accrue_and_read", c, "borrower", 10_000, sender="stranger")[5]
        assert room == 20_000 * RAD - sum(used)
    protocol.do("VaultEngine.set_global_auction_limit", 16_000, sender="admin")
    assert protocol.do("VaultEngine.accrue_and_read", WETH, "borrower", 10_000, sender="stranger")[5] == 0


def test_room_is_zero_once_a_limit_is_passed(protocol):
    protocol.borrow("borrower", "WETH", 10 * WAD, 8_000 * WAD)
    protocol.post_price("WETH", 1_000 * 10**27)
    protocol.do("LiquidationEngine.liquidate", WETH, "borrower", "liquidator", sender="liquidator")
    protocol.do("VaultEngine.set_auction_limit", WETH, 1_000, sender="admin")
    assert protocol.do("VaultEngine.accrue_and_read", WETH, "borrower", 10_000, sender="stranger")[5] == 0


def test_the_unit_follows_the_decimals(protocol):
    assert (
        protocol.do("VaultEngine.accrue_and_read", WBTC, "borrower", 10_000, sender="stranger")[6] == 10**10
    )


def test_an_unknown_type_is_refused(protocol):
    with reverts("terms: unknown type"):
        protocol.do("VaultEngine.accrue_and_read", 31, "borrower", 10_000, sender="stranger")


def test_the_limits_count_by_the_factor(guarded):
    guarded.do("VaultEngine.set_auction_limit", WETH, 500, sender="admin")
    guarded.do("VaultEngine.set_global_auction_limit", 400, sender="admin")
    for factor, room in ((0, 0), (1, 4 * RAD // 100), (9_999, 39_996 * RAD // 100), (50_000, 2_000 * RAD)):
        state = guarded.do("VaultEngine.accrue_and_read", WETH, "borrower", factor, sender="stranger")
        assert state.room == room
    guarded.do("VaultEngine.set_auction_limit", WETH, 300, sender="admin")
    state = guarded.do("VaultEngine.accrue_and_read", WETH, "borrower", 20_000, sender="stranger")
    assert state.room == 600 * RAD


def test_tells_when_a_vault_was_called(guarded):
    allow_calls(guarded)
    open_vault_below_call_ratio(guarded)
    for called in (0, guarded.timestamp):
        if called:
            margin_call_ether_vault_as_stranger(guarded)
        state = guarded.do("VaultEngine.accrue_and_read", WETH, "borrower", 10_000, sender="stranger")
        assert state.called_at == called


def test_an_absurd_factor_overflows(guarded):
    with reverts(""):
        guarded.do("VaultEngine.accrue_and_read", WETH, "borrower", 2**256 - 1, sender="stranger")
