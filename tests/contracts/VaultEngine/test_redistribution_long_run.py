"""Random losses, draws and repayments shared by borrowers, thousands: drift is bounded, nothing blocked."""

from dataclasses import replace
from random import Random
from typing import cast

import pytest

from backstop.deployment.configuration_calls import apply_configuration
from backstop.deployment.example_parameters import build_standard_parameters
from backstop.deployment.model_and_chain_deployment import create_model
from backstop.deployment.parameter_dataclasses import StageParameters
from backstop.deployment.planned_contracts import plan_deployment
from backstop.deployment.role_accounts import get_account
from backstop.model.arithmetic import RAD, RAY, WAD
from backstop.model.stablecoin import Stablecoin
from backstop.model.vault_engine import VaultEngine
from backstop.system import Action
from tests.support.long_test_marks import build_pytest_params_with_deep_marks

FEW, MANY = 10_000, 100_000
OWNERS = [get_account(f"owner_{i}") for i in range(20)]
PRICE = 2_000 * RAY
C = 0


class Book:
    """The model alone, one type without a fee and without a debt floor, and only redistribution."""

    def __init__(self) -> None:
        weth = replace(
            build_standard_parameters().collateral_types[C],
            debt_ceiling=10**9,
            debt_floor=0,
            stability_fee=0,
            liquidation_ratio=11_000,
            initial_ratio=20_000,
            redistribution_cap=100,
            auction=replace(build_standard_parameters().collateral_types[C].auction, penalty=10_500),
            feed=replace(build_standard_parameters().collateral_types[C].feed, stale_after=7 * 86_400),
        )
        parameters = replace(
            build_standard_parameters(),
            collateral_types=(weth,),
            stages=(StageParameters("redistribution"),),
            equity=None,
            global_debt_ceiling=8 * 10**9,
            epoch_length=3_600,
        )
        self.deployment = plan_deployment(parameters)
        self.model = create_model(self.deployment)
        apply_configuration(self.model, self.deployment)
        self.engine = cast(VaultEngine, self.model.world.contracts["VaultEngine"])
        self.stablecoin = cast(Stablecoin, self.model.world.contracts["Stablecoin"])
        self.auction = self.deployment.addresses["CollateralAuction"]
        for owner in OWNERS:
            self.do("WETH", "mint", owner, 10**6 * WAD, by=owner)
            self.do("WETH", "approve", self.engine.address, 2**255, by=owner)
            self.do("VaultEngine", "deposit_and_draw", C, owner, 10**6 * WAD, 0, owner, by=owner)

    def do(self, contract, method, *args, by):
        """A call that nothing may block."""
        outcome = self.model.apply(Action(contract, method, args, by))
        assert outcome.ok, (contract, method, args, outcome.reason)
        return outcome.value

    def price(self):
        """A fresh price, two epochs later: no loss that was shared counts any more."""
        self.model.advance(7_200)
        for i in range(3):
            self.do("PriceFeed", "report", C, PRICE, by=get_account(f"reporter_{i + 1}"))
        self.do("PriceFeed", "poke", C, by=OWNERS[0])

    def debt(self, owner):
        """Rad."""
        return self.engine.vaults[C, owner].normalized_debt * self.engine.debts[C].accumulated_rate


@pytest.mark.parametrize(
    "events",
    build_pytest_params_with_deep_marks(
        (FEW, MANY),
        (MANY,),
        "tests/contracts/VaultEngine/test_redistribution_long_run.py::test_every_debt_is_what_was_drawn_and_borne_to_a_few_rates",
    ),
)
def test_every_debt_is_what_was_drawn_and_borne_to_a_few_rates(events):
    random, book = Random(1), Book()
    book.price()
    book.price()
    expected = dict.fromkeys(OWNERS, 0)  # rad
    touched = dict.fromkeys(OWNERS, 0)
    lost = borne = 0
    for _ in range(events):
        owner = random.choice(OWNERS)
        debt, rate = book.debt(owner), book.engine.debts[C].accumulated_rate
        kind = random.random()
        if kind < 0.45:
            amount = random.choice((1, random.randrange(1, 10**6), random.randrange(1, 1_000 * WAD)))
            if debt < 10**6 * RAD:
                book.do("VaultEngine", "deposit_and_draw", C, owner, 0, amount, owner, by=owner)
                expected[owner] += amount * RAY
                touched[owner] += 1
        elif kind < 0.85:
            held = book.stablecoin.balances[owner]
            amount = min(held, random.choice((10**9, random.randrange(1, 1_000 * WAD), 2**200)))
            if debt and amount * RAY >= rate:
                before = held
                book.do("VaultEngine", "repay_and_withdraw", C, owner, amount, 0, owner, by=owner)
                paid = before - book.stablecoin.balances[owner]
                expected[owner] = max(0, expected[owner] - paid * RAY)
                touched[owner] += 1
        elif book.engine.debts[C].normalized_debt:
            # A loss as the auctions' rewards make it, when the reserve is empty.
            before = book.engine.deficit[C]
            amount = random.choice((1, random.randrange(1, WAD), random.randrange(1, 200 * WAD)))
            book.do("VaultEngine", "reward", C, get_account("keeper"), amount, by=book.auction)
            lost += book.engine.deficit[C] - before
            if book.engine.deficit[C]:
                shares = {who: book.engine.vaults[C, who].normalized_debt for who in OWNERS}
                borne += book.do("LossWaterfall", "cover", C, by=owner)
                added = book.engine.debts[C].accumulated_rate - rate
                for who, share in shares.items():
                    expected[who] += share * added
                book.price()
    rate = book.engine.debts[C].accumulated_rate
    assert rate - RAY > RAY * events // (2 * MANY)  # losses were large, all in all
    assert lost == borne + book.engine.deficit[C]
    for owner in OWNERS:
        # Each operation rounds for the protocol, by less than the rate.
        assert 0 <= book.debt(owner) - expected[owner] <= touched[owner] * rate, owner
