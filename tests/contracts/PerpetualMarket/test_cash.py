"""deposit, withdraw, and the calls reserved for the trading contract and the waterfall."""

import pytest

from backstop.contract_base import ZERO_ADDRESS
from backstop.model.account_owner import derive_account
from backstop.model.arithmetic import WAD
from tests.support.perpetual_test_market import BTC, ETH, HOUSE, TRADING
from tests.support.revert_setter_and_source_helpers import reverts


def withdraw(market, name, amount):
    return market.do(
        f"{HOUSE}.withdraw",
        amount * WAD,
        market.get_contract_or_account_address(f"wallet_of_{name}"),
        sender=name,
    )


def paid(market, name):
    """Return the amount that has come to the wallet, whole stablecoins."""
    return (
        market.read("Stablecoin.balanceOf", market.get_contract_or_account_address(f"wallet_of_{name}"))
        // WAD
    )


def test_who_has_no_position_needs_no_price(crowd):
    crowd.advance_clock(86_400)
    assert withdraw(crowd, "other", 10_000) == 10_000 * WAD
    with reverts("perpetuals: more than it has"):
        withdraw(crowd, "other", 1)


def test_with_positions_margin_stays(crowd):
    """1,000 lots worth 20,000 need 2,000 of 3,000."""
    with reverts("trading: initial margin"):
        withdraw(crowd, "long", 1_001)
    withdraw(crowd, "long", 1_000)
    crowd.advance_clock(61)
    with reverts("trading: no price for risk"):
        withdraw(crowd, "first", 1)


def test_a_gain_leaves_once_it_is_final_and_vests(crowd):
    """The short has gained 1,000 and closed."""
    crowd.mark(ETH, 18 * WAD)
    crowd.trade("first", "other", 500)
    with reverts("perpetuals: more than it has"):
        withdraw(crowd, "first", 10_001)
    crowd.advance_cycle()
    with reverts("perpetuals: more than it has"):
        withdraw(crowd, "first", 10_001)
    crowd.advance_cycle()
    assert withdraw(crowd, "first", 11_000) == 11_000 * WAD
    assert crowd.read("MarginFund.unvested") == 1_000 * WAD


def test_a_deposit_that_was_lost_is_no_deposit(crowd):
    """The long loses 2,500 and closes all but a lot; gains on lots opened later vest."""
    crowd.mark(ETH, 175 * WAD // 10)
    crowd.advance_cycle()
    crowd.trade("first", "long", 999)
    assert crowd.market.deposits[crowd.get_contract_or_account_address("long")] == 3_000 * WAD
    crowd.trade("long", "first", 1)
    assert crowd.market.deposits[crowd.get_contract_or_account_address("long")] == 500 * WAD
    crowd.mark(ETH, 20 * WAD)
    crowd.trade("first", "long", 2)
    for _ in range(2):
        crowd.advance_cycle()
    assert withdraw(crowd, "long", 505) == 505 * WAD
    assert crowd.read("MarginFund.unvested") == 5 * WAD


def test_nobody_else_makes_a_deposit_a_profit(crowd):
    """A stranger wakes the long where it has lost most."""
    crowd.mark(ETH, 175 * WAD // 10)
    crowd.advance_cycle()
    crowd.wake_all()
    crowd.mark(ETH, 20 * WAD)
    for _ in range(2):
        crowd.advance_cycle()
    withdraw(crowd, "long", 1_000)
    assert crowd.read("MarginFund.unvested") == 0


def test_while_a_loss_is_late_all_are_paid_alike(crowd):
    """24,000 are held for claims of 25,000 less what the debtor owes: 24 of 25 to the first and the last.

    Neither the fund nor the protocol pays anything.
    """
    crowd.set_loss_line_to_zero()
    crowd.mark(ETH, 16 * WAD)
    for _ in range(2):
        crowd.advance_cycle()
    crowd.seize_insolvent("long")
    assert crowd.market.late_table[()] == 1_000 * WAD and crowd.market.holdings[()] == 33_000 * WAD
    first = withdraw(crowd, "other", 3_400)
    assert first == 3_400 * WAD * 33 // 34
    assert withdraw(crowd, "other", 3_400) - first in (-1, 0, 1)
    crowd.check_books_after_touching_all()


def test_the_line_of_the_protocol_pays_what_is_late(crowd):
    """As soon as it is late; amounts without room then are paid once there is room."""
    assert crowd.do(f"{HOUSE}.post_shortfall", sender="keeper") == 0
    crowd.mark(ETH, 16 * WAD)
    for _ in range(2):
        crowd.advance_cycle()
    crowd.set_line(300)
    crowd.seize_insolvent("long")
    assert crowd.market.late_table[()] == 700 * WAD and crowd.read("Perpetuals.lost") == 300 * WAD
    assert crowd.do(f"{HOUSE}.post_shortfall", sender="keeper") == 0
    crowd.set_line(50_000)
    assert crowd.do(f"{HOUSE}.post_shortfall", sender="keeper") == 700 * WAD
    assert crowd.market.late_table[()] == 0 and crowd.read("Perpetuals.lost") == 1_000 * WAD
    crowd.seize_and_roll_until_final()
    assert crowd.equity("first") == 12_000 * WAD


def test_nobody_has_more_than_what_is_held(crowd):
    """Gains of 8,000 while the opposite losses are unsettled: more than all other accounts have paid in."""
    crowd.do(f"{HOUSE}.withdraw", 10_000 * WAD, crowd.get_contract_or_account_address("away"), sender="other")
    crowd.mark(ETH, WAD)
    for _ in range(2):
        crowd.advance_cycle()
    crowd.do(f"{TRADING}.check_risk", crowd.get_contract_or_account_address("first"), sender="stranger")
    withdraw(crowd, "first", 18_000)
    with reverts("perpetuals: not held"):
        withdraw(crowd, "second", 18_000)


def test_nobody_has_more_than_what_is_held_and_late(crowd):
    """A loss is late, and another is not met yet: a wei more than both was refused without a reason."""
    crowd.set_loss_line_to_zero()
    crowd.deposit("poor", 6_000 * WAD)
    crowd.trade("poor", "other", 500, BTC)
    crowd.mark(ETH, 16 * WAD)
    crowd.mark(BTC, 5 * WAD)
    for _ in range(2):
        crowd.advance_cycle()
    for name in ("first", "second"):
        withdraw(crowd, name, 9_000)
    crowd.seize_insolvent("long")
    held, late = crowd.market.holdings[()], crowd.market.late_table[()]
    assert late == 1_000 * WAD and crowd.market.fee_table.get((), 0) == 0
    wallet = crowd.get_contract_or_account_address("wallet_of_other")
    with reverts("perpetuals: not held"):
        crowd.do(f"{HOUSE}.withdraw", held + late + 1, wallet, sender="other")
    assert crowd.do(f"{HOUSE}.withdraw", held + late, wallet, sender="other") == held
    assert crowd.market.holdings[()] == crowd.market.late_table[()] == 0


def test_no_profit_is_withdrawn_for_nobody(crowd):
    crowd.mark(ETH, 19 * WAD)
    crowd.trade("first", "other", 500, ETH)
    for _ in range(2):
        crowd.advance_cycle()
    withdraw(crowd, "first", 10_000)
    with reverts("margin_fund: zero owner"):
        crowd.do(f"{HOUSE}.withdraw", 500 * WAD, ZERO_ADDRESS, sender="first")
    assert withdraw(crowd, "first", 500) == 500 * WAD


def test_only_the_desk_has_lots_change_hands(crowd):
    args = (
        ETH,
        crowd.get_contract_or_account_address("first"),
        crowd.get_contract_or_account_address("second"),
        1,
        20 * WAD,
        0,
        0,
    )
    with reverts("perpetuals: not trading"):
        crowd.do(f"{HOUSE}.execute_trade", *args, sender="stranger")


def withdraw_of(market, owner, amount, by):
    address = market.get_contract_or_account_address(owner) if "0x" not in owner else owner
    return market.do(
        f"{HOUSE}.withdraw",
        amount * WAD,
        market.get_contract_or_account_address("wallet_of_all"),
        address,
        sender=by,
    )


@pytest.mark.parametrize("number", [0, 1, 2, 127, 255])
def test_all_accounts_of_an_address_are_its_own(market, number):
    name = f"ann#{number}"
    market.deposit("ann#77", 50 * WAD)
    market.deposit(name, 70 * WAD)
    assert withdraw_of(market, name, 70, "ann") == 70 * WAD
    assert paid(market, "all") == 70
    assert market.equity("ann#77") == 50 * WAD
    with reverts("perpetuals: more than it has"):
        withdraw_of(market, name, 1, "ann")


def test_nobody_elses(market):
    """One bit off in each of the other bytes, or any other address."""
    market.deposit("ann", 100 * WAD)
    ann = int(market.get_contract_or_account_address("ann"), 16)
    others = [f"0x{ann ^ 1 << bit:040x}" for bit in (8, 9, 15, 16, 80, 152, 159)]
    for sender in (
        *others,
        market.get_contract_or_account_address("bob"),
        ZERO_ADDRESS[:-2] + market.get_contract_or_account_address("ann")[-2:],
    ):
        for owner in ("ann", "ann#1"):
            with reverts("perpetuals: not its owner"):
                withdraw_of(market, owner, 0, sender)
    withdraw_of(market, "ann", 100, "ann")


def test_an_account_beside_the_margin_of_another(crowd):
    """The long's debt in one account affects neither the other account nor withdrawals from it."""
    crowd.deposit("long#1", 700 * WAD)
    crowd.mark(ETH, 16 * WAD)
    crowd.seize_insolvent("long")
    assert crowd.equity("long") == -1_000 * WAD
    assert crowd.equity("long#1") == 700 * WAD
    with reverts("perpetuals: more than it has"):
        withdraw_of(crowd, "long", 1, "long")
    assert withdraw_of(crowd, "long#1", 700, "long") == 700 * WAD


def test_the_account_of_a_contract_is_its_own_alone(market):
    """The creator of a contract might have searched for an address beside that of a key."""
    market.system.create_contract("Erc1271Wallet", "Erc1271Wallet")
    wallet = market.get_contract_or_account_address("Erc1271Wallet")
    market.do(f"{HOUSE}.deposit", wallet, 100 * WAD, sender="rich")
    with reverts("perpetuals: not its owner"):
        withdraw_of(market, wallet, 1, derive_account(wallet, 1))
