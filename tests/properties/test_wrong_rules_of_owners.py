"""Rules of account ownership, made wrong as if in contract and model alike: a property notices."""

import pytest

from backstop.contract_base import external
from backstop.deployment.devnet_trader_signatures import sign_order
from backstop.model import margin_orders, perpetual_market, perpetual_trading, signature_check
from backstop.model.account_owner import has_same_first_19_bytes
from backstop.model.arithmetic import MAX_UINT256, WAD
from backstop.model.margin_orders import MarginOrders, Order
from backstop.model.perpetual_market import PerpetualMarket
from backstop.proof.properties import (
    CounterfactualSeed,
    PropertyViolationError,
    check_counterfactual_property,
)
from tests.support.model_only_perpetuals_with_properties import (
    expect_violation_of_property,
    open_unwatched_crowd_on_model,
    open_watched_crowd_on_model,
)
from tests.support.perpetual_test_market import ETH, HOUSE, ORDERS, TRADING


@pytest.fixture
def crowd():
    made = open_watched_crowd_on_model()
    made.deposit("other#1", 5_000 * WAD)
    return made


def by_the_first_byte(world, account, who):
    """The address is compared from the wrong end."""
    return account[:4] == who[:4]


def beside_contracts_too(world, account, who):
    return has_same_first_19_bytes(account, who)


def everybody(world, account, who):
    return True


def use(monkeypatch, rule):
    for module in (margin_orders, perpetual_trading, perpetual_market, signature_check):
        monkeypatch.setattr(module, "is_own_or_subaccount", rule)


def like(market, name):
    """Return an owner with an address that begins as another's does."""
    return next(
        f"thief {i}"
        for i in range(5_000)
        if market.get_contract_or_account_address(f"thief {i}")[:4]
        == market.get_contract_or_account_address(name)[:4]
    )


@pytest.mark.parametrize("account", ["other", "other#1"])
def test_who_takes_out(crowd, monkeypatch, account):
    use(monkeypatch, by_the_first_byte)
    args = 1, crowd.get_contract_or_account_address("purse"), crowd.get_contract_or_account_address(account)
    expect_violation_of_property(
        130, lambda: crowd.do(f"{HOUSE}.withdraw", *args, sender=like(crowd, "other"))
    )


def test_who_takes_over(crowd, monkeypatch):
    use(monkeypatch, everybody)
    crowd.mark(ETH, 175 * WAD // 10)
    args = (
        crowd.get_contract_or_account_address("long"),
        ETH,
        1,
        crowd.get_contract_or_account_address("other#1"),
    )
    expect_violation_of_property(130, lambda: crowd.do(f"{TRADING}.liquidate", *args, sender="thief"))


def test_who_takes_lots_of_nobody(crowd, monkeypatch):
    use(monkeypatch, everybody)
    crowd.mark(ETH, 16 * WAD)
    crowd.seize_insolvent("long")
    expect_violation_of_property(
        130,
        lambda: crowd.do(
            f"{TRADING}.take", ETH, 1, crowd.get_contract_or_account_address("other#1"), sender="thief"
        ),
    )


@pytest.mark.parametrize("call", ["cancel", "raise_nonce"])
def test_who_voids_orders(crowd, monkeypatch, call):
    use(monkeypatch, everybody)
    account = crowd.get_contract_or_account_address("other#1")
    order = Order(account, ETH, 1, 20 * WAD, MAX_UINT256, 1)
    args = (order,) if call == "cancel" else (2, account)
    expect_violation_of_property(130, lambda: crowd.do(f"{ORDERS}.{call}", *args, sender="thief"))


def test_whose_key_signs(crowd, monkeypatch):
    use(monkeypatch, everybody)
    price, sides = crowd.price(ETH), []
    for name, by, lots in (("other#1", "thief", 1), ("first", "first", -1)):
        order = Order(crowd.get_contract_or_account_address(name), ETH, lots, price, MAX_UINT256, 9)
        sides += [
            order,
            sign_order(by, order, crowd.world.chain_id, crowd.get_contract_or_account_address(ORDERS)),
        ]
    expect_violation_of_property(130, lambda: crowd.do(f"{ORDERS}.fill", *sides, 1, sender="thief"))


def test_the_account_of_a_contract(crowd, monkeypatch):
    use(monkeypatch, beside_contracts_too)
    contract = crowd.get_contract_or_account_address("MarginFund")
    crowd.do(f"{HOUSE}.deposit", contract, WAD, sender="rich")
    beside = f"{contract[:-2]}{int(contract[-2:], 16) ^ 1:02x}"
    args = 1, crowd.get_contract_or_account_address("purse"), contract
    expect_violation_of_property(130, lambda: crowd.do(f"{HOUSE}.withdraw", *args, sender=beside))


def test_a_floor_that_all_accounts_share(crowd, monkeypatch):
    right = MarginOrders.raise_nonce

    @external
    def raise_nonce(self, sender, new, account=None):
        right(self, sender, new, account)
        self.floors[sender] = new

    monkeypatch.setattr(MarginOrders, "raise_nonce", raise_nonce)
    args = 7, crowd.get_contract_or_account_address("other#1")
    expect_violation_of_property(130, lambda: crowd.do(f"{ORDERS}.raise_nonce", *args, sender="other"))


def test_an_order_that_is_of_all_accounts(crowd, monkeypatch):
    """The filled amount is counted for the order of the address."""
    right = MarginOrders._compute_order_digest
    monkeypatch.setattr(
        MarginOrders,
        "_compute_order_digest",
        lambda self, order: right(self, order._replace(account=order.account[:-2] + "00")),
    )
    order = Order(crowd.get_contract_or_account_address("other#1"), ETH, 1, 20 * WAD, MAX_UINT256, 1)
    expect_violation_of_property(130, lambda: crowd.do(f"{ORDERS}.cancel", order, sender="other"))


@pytest.fixture(params=[0, WAD], ids=["without bonds", "with bonds"])
def both(request):
    """To be asked about the future."""
    return open_unwatched_crowd_on_model(third_bond=request.param)


def test_an_account_that_pays_for_one_beside_it(both, monkeypatch):
    """A seized debtor takes the balances of its address's other accounts."""
    right = PerpetualMarket._close_positions_of_debtor

    def seize(self, owner, finder):
        seized = right(self, owner, finder)
        for other in list(self.accounts) if seized else ():
            if other != owner and has_same_first_19_bytes(other, owner):
                paid = min(max(0, self.accounts[other].cash), max(0, -self.accounts[owner].cash))
                self._change_account_cash(other, -paid)
                self._change_account_cash(owner, paid)
        return seized

    monkeypatch.setattr(PerpetualMarket, "_close_positions_of_debtor", seize)
    with pytest.raises(
        PropertyViolationError, match=r"^property 131 .* failed, or a stranger's: then some have "
    ):
        for seed in range(60):
            check_counterfactual_property(both, CounterfactualSeed(131, seed))
