"""deposit_and_draw: lock collateral and borrow in one call, never unsafe, never over a ceiling."""

import pytest

from backstop.model.arithmetic import RAD, RAY, WAD
from tests.support.auction_steps import report_price
from tests.support.revert_setter_and_source_helpers import reverts

WETH, WBTC = 0, 1


def lock(protocol, c, amount):
    """Lock collateral of the type without a fee."""
    protocol.mint_and_approve_collateral("FREE", "borrower", amount)
    protocol.do("VaultEngine.deposit_and_draw", c, "borrower", amount, 0, "borrower", sender="borrower")


def test_locks_collateral_and_mints_to_the_receiver(protocol):
    protocol.mint_and_approve_collateral("WETH", "borrower", 10 * WAD)
    protocol.do(
        "VaultEngine.deposit_and_draw", WETH, "borrower", 10 * WAD, 6_000 * WAD, "saver", sender="borrower"
    )
    vault = protocol.read("VaultEngine.vault", WETH, "borrower")
    assert vault[0] == 10 * WAD
    assert vault[1] * RAY >= 6_000 * WAD * RAY // 2
    assert protocol.read("Stablecoin.balanceOf", "saver") == 6_000 * WAD
    assert protocol.read("WETH.balanceOf", "VaultEngine") == 10 * WAD


def test_the_debt_booked_covers_what_was_drawn(protocol):
    protocol.advance(12_345)
    protocol.borrow("borrower", "WETH", 10 * WAD, 6_000 * WAD + 1)
    rate = protocol.do("VaultEngine.accrue", WETH, sender="stranger")
    debt = protocol.read("VaultEngine.vault", WETH, "borrower")[1] * rate
    drawn = (6_000 * WAD + 1) * RAY
    assert drawn <= debt < drawn + rate


def test_collateral_is_floored_to_the_token_unit(protocol):
    protocol.mint_and_approve_collateral("WBTC", "borrower", WAD)
    before = protocol.read("WBTC.balanceOf", "borrower")
    protocol.do(
        "VaultEngine.deposit_and_draw", WBTC, "borrower", 10**10 + 1, 0, "borrower", sender="borrower"
    )
    assert protocol.read("VaultEngine.vault", WBTC, "borrower")[0] == 10**10
    assert before - protocol.read("WBTC.balanceOf", "borrower") == 1


def test_less_than_a_unit_moves_nothing(protocol):
    protocol.mint_and_approve_collateral("WBTC", "borrower", WAD)
    protocol.do(
        "VaultEngine.deposit_and_draw", WBTC, "borrower", 10**10 - 1, 0, "borrower", sender="borrower"
    )
    assert protocol.read("VaultEngine.vault", WBTC, "borrower")[0] == 0


def test_anyone_may_top_up_a_vault(protocol):
    protocol.borrow("borrower", "WETH", 10 * WAD, 6_000 * WAD)
    protocol.mint_and_approve_collateral("WETH", "stranger", WAD)
    protocol.do("VaultEngine.deposit_and_draw", WETH, "borrower", WAD, 0, "stranger", sender="stranger")
    assert protocol.read("VaultEngine.vault", WETH, "borrower")[0] == 11 * WAD


def test_topping_up_needs_no_price(protocol):
    protocol.borrow("borrower", "WETH", 10 * WAD, 6_000 * WAD)
    protocol.advance(365 * 86_400)
    protocol.mint_and_approve_collateral("WETH", "borrower", WAD)
    protocol.do("VaultEngine.deposit_and_draw", WETH, "borrower", WAD, 0, "borrower", sender="borrower")


def test_only_owner_and_operators_draw(protocol):
    protocol.mint_and_approve_collateral("WETH", "borrower", 10 * WAD)
    protocol.do("VaultEngine.deposit_and_draw", WETH, "borrower", 10 * WAD, 0, "borrower", sender="borrower")
    draw = ("VaultEngine.deposit_and_draw", WETH, "borrower", 0, 6_000 * WAD, "stranger")
    with reverts("vault_engine: not approved"):
        protocol.do(*draw, sender="stranger")
    protocol.do("VaultEngine.approve_operator", "stranger", True, sender="borrower")
    protocol.do(*draw, sender="stranger")
    assert protocol.read("Stablecoin.balanceOf", "stranger") == 6_000 * WAD


def test_an_unknown_type_is_refused(protocol):
    with reverts("terms: unknown type"):
        protocol.do("VaultEngine.deposit_and_draw", 31, "borrower", 0, 1, "borrower", sender="borrower")


def test_drawing_needs_the_initial_ratio_to_the_wei(protocol):
    price = 2_000 * RAY
    protocol.post_price("WETH", price)
    ratio = protocol.read("VaultEngine.terms_of", WETH)[4]
    most = 10 * WAD * price * 10_000 // ratio // RAY
    protocol.do("VaultEngine.set_stability_fee", WETH, 0, sender="admin")
    protocol.mint_and_approve_collateral("WETH", "borrower", 10 * WAD)
    with reverts("vault_engine: unsafe"):
        protocol.do(
            "VaultEngine.deposit_and_draw",
            WETH,
            "borrower",
            10 * WAD,
            most + 10,
            "borrower",
            sender="borrower",
        )
    protocol.do(
        "VaultEngine.deposit_and_draw", WETH, "borrower", 10 * WAD, most - 10, "borrower", sender="borrower"
    )


def test_new_risk_counts_at_the_next_price_when_it_is_lower(protocol):
    protocol.post_price("WETH", 2_000 * RAY)
    protocol.mint_and_approve_collateral("WETH", "borrower", 10 * WAD)
    protocol.post_next("WETH", 500 * RAY)
    with reverts("vault_engine: unsafe"):
        protocol.do(
            "VaultEngine.deposit_and_draw",
            WETH,
            "borrower",
            10 * WAD,
            6_000 * WAD,
            "borrower",
            sender="borrower",
        )


def test_a_stale_price_stops_drawing(protocol):
    protocol.mint_and_approve_collateral("WETH", "borrower", 10 * WAD)
    protocol.advance(30 * 86_400)
    with reverts("vault_engine: no price"):
        protocol.do(
            "VaultEngine.deposit_and_draw",
            WETH,
            "borrower",
            10 * WAD,
            6_000 * WAD,
            "borrower",
            sender="borrower",
        )


def test_the_type_ceiling_binds(protocol):
    protocol.do("VaultEngine.set_debt_ceiling", WETH, 9_000, sender="admin")
    protocol.borrow("borrower", "WETH", 10 * WAD, 6_000 * WAD)
    protocol.mint_and_approve_collateral("WETH", "stranger", 10 * WAD)
    with reverts("vault_engine: debt ceiling"):
        protocol.do(
            "VaultEngine.deposit_and_draw",
            WETH,
            "stranger",
            10 * WAD,
            6_000 * WAD,
            "stranger",
            sender="stranger",
        )


def test_debt_under_auction_still_counts_towards_the_ceiling(protocol):
    protocol.do("VaultEngine.set_debt_ceiling", WETH, 13_000, sender="admin")
    protocol.borrow("borrower", "WETH", 10 * WAD, 8_000 * WAD)
    protocol.post_price("WETH", 1_000 * RAY)
    protocol.do("LiquidationEngine.liquidate", WETH, "borrower", "liquidator", sender="liquidator")
    assert protocol.read("VaultEngine.debts_of", WETH)[0] == 0
    protocol.mint_and_approve_collateral("WETH", "stranger", 20 * WAD)
    with reverts("vault_engine: debt ceiling"):
        protocol.do(
            "VaultEngine.deposit_and_draw",
            WETH,
            "stranger",
            20 * WAD,
            6_000 * WAD,
            "stranger",
            sender="stranger",
        )


def test_the_global_ceiling_binds_over_all_types(protocol):
    protocol.do("VaultEngine.set_global_debt_ceiling", 9_000, sender="admin")
    protocol.borrow("borrower", "WETH", 10 * WAD, 6_000 * WAD)
    protocol.mint_and_approve_collateral("WBTC", "stranger", WAD)
    with reverts("ledger: over the ceiling"):
        protocol.do(
            "VaultEngine.deposit_and_draw", WBTC, "stranger", WAD, 6_000 * WAD, "stranger", sender="stranger"
        )


def test_a_vault_under_the_floor_cannot_be_opened(protocol):
    floor = protocol.read("VaultEngine.debt_floor_of", WETH)
    protocol.mint_and_approve_collateral("WETH", "borrower", 10 * WAD)
    with reverts("vault_engine: debt floor"):
        protocol.do(
            "VaultEngine.deposit_and_draw",
            WETH,
            "borrower",
            10 * WAD,
            floor * WAD - 1,
            "borrower",
            sender="borrower",
        )
    protocol.do(
        "VaultEngine.deposit_and_draw", WETH, "borrower", 10 * WAD, floor * WAD, "borrower", sender="borrower"
    )


def test_more_collateral_than_a_vault_can_hold_is_refused(protocol):
    protocol.mint_and_approve_collateral("WETH", "borrower", 2**104)
    with reverts("vault_engine: vault is full"):
        protocol.do(
            "VaultEngine.deposit_and_draw", WETH, "borrower", 2**103, 0, "borrower", sender="borrower"
        )


def test_absurd_amounts_are_refused(protocol):
    for draw in (2**128, 2**256 - 1):
        with reverts("vault_engine: draw too large"):
            protocol.do(
                "VaultEngine.deposit_and_draw", WETH, "borrower", 0, draw, "borrower", sender="borrower"
            )
    with reverts("vault_engine: debt ceiling"):
        protocol.do(
            "VaultEngine.deposit_and_draw", WETH, "borrower", 0, 2**128 - 1, "borrower", sender="borrower"
        )


def test_collateral_that_is_not_there_is_not_lent_against(protocol):
    with reverts("token: insufficient allowance"):
        protocol.do("VaultEngine.deposit_and_draw", WETH, "stranger", WAD, 0, "stranger", sender="stranger")


def test_dust_of_a_draw_goes_to_the_reserve(protocol):
    protocol.borrow("borrower", "WETH", 10 * WAD, 6_000 * WAD)
    protocol.advance(1_000)
    rate = protocol.do("VaultEngine.accrue", WETH, sender="stranger")
    before = protocol.read("VaultEngine.reserve")
    protocol.borrow("borrower", "WETH", 0, 7)
    drawn = -(-7 * RAY // rate)
    assert protocol.read("VaultEngine.reserve") - before == drawn * rate - 7 * RAY
    assert rate < RAD


# -------------------------------------------- limits, to the wei: a type without a fee has round numbers


def draw(protocol, c, amount):
    protocol.do("VaultEngine.deposit_and_draw", c, "borrower", 0, amount, "borrower", sender="borrower")


@pytest.fixture
def rich(protocol, free):
    """A vault that could draw 13,333 and owes nothing."""
    lock(protocol, free, 10 * WAD)
    return free


def test_the_initial_ratio_itself_is_enough(protocol, free):
    lock(protocol, free, 3 * WAD)
    with reverts("vault_engine: unsafe"):
        draw(protocol, free, 4_000 * WAD + 1)
    draw(protocol, free, 4_000 * WAD)


def test_what_was_drawn_before_counts(protocol, free):
    lock(protocol, free, 3 * WAD)
    draw(protocol, free, 3_000 * WAD)
    with reverts("vault_engine: unsafe"):
        draw(protocol, free, 1_000 * WAD + 1)
    draw(protocol, free, 1_000 * WAD)


def test_a_debt_of_exactly_the_floor_is_enough(protocol, rich):
    with reverts("vault_engine: debt floor"):
        draw(protocol, rich, 2_000 * WAD - 1)
    draw(protocol, rich, 2_000 * WAD)


def test_a_type_can_be_drawn_up_to_its_ceiling(protocol, rich):
    protocol.do("VaultEngine.set_debt_ceiling", rich, 5_000, sender="admin")
    with reverts("vault_engine: debt ceiling"):
        draw(protocol, rich, 5_000 * WAD + 1)
    draw(protocol, rich, 5_000 * WAD)


def test_all_types_together_can_be_drawn_up_to_the_global_ceiling(protocol, rich):
    protocol.do("VaultEngine.set_global_debt_ceiling", 5_000, sender="admin")
    with reverts("ledger: over the ceiling"):
        draw(protocol, rich, 5_000 * WAD + 1)
    draw(protocol, rich, 5_000 * WAD)


def test_income_counts_towards_the_global_ceiling(protocol, rich):
    """Borrowers owe the amounts in the reserve and the buffers; buffers count in whole stablecoins."""
    protocol.earn_fees("WETH")
    protocol.earn_fees("WBTC")
    buffers = [protocol.read("VaultEngine.buffer_of", c) for c in range(3)]
    reserve = protocol.read("VaultEngine.reserve")
    supply = protocol.read("Stablecoin.totalSupply")
    for _ in range(2):
        report_price(protocol, rich, 2_000 * RAY)
    counted = supply * RAY + reserve + sum(-(-buffer // RAD) for buffer in buffers) * RAD
    assert reserve > 0 and min(buffers[:2]) > 0
    ceiling = counted // RAD + 3_000
    protocol.do("VaultEngine.set_global_debt_ceiling", ceiling, sender="admin")
    most = (ceiling * RAD - counted) // RAY
    with reverts("ledger: over the ceiling"):
        draw(protocol, rich, most + 1)
    draw(protocol, rich, most)


def test_a_vault_can_be_filled_to_the_last_unit(protocol, free):
    lock(protocol, free, 2**103 - 1)
    with reverts("vault_engine: vault is full"):
        lock(protocol, free, 1)
