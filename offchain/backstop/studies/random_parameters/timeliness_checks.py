"""Questions to a setting that no property asks, on the model: does it do in time what it is there for?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from backstop.deployment.configuration_calls import apply_configuration
from backstop.deployment.contracts_by_parameter_name import STAGES, list_pools
from backstop.deployment.model_and_chain_deployment import create_model
from backstop.deployment.parameter_dataclasses import FeedParameters, Parameters
from backstop.deployment.planned_contracts import plan_deployment
from backstop.deployment.role_accounts import get_account
from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAY, WAD
from backstop.model.bounds import EQUITY_MARKET
from backstop.system import Action

BEFORE = 2_000 * RAY
"""The price at which a vault is opened."""
COVERED = 200
"""Collateral of a new vault over its debt: enough under any add-on, and under a cap on prices."""
DEBT = 10_000
"""Debt of a new vault [whole stablecoins], as far as ceilings and limits allow."""
LEAST = 100
"""Whole stablecoins: a smaller loss does not keep equity busy."""
_ROUNDED_UNITS = 3
LOOKS = 600
"""How often an auction's price is looked at."""
BORROWER, STAKER, STRANGER = get_account("borrower"), get_account("staker"), get_account("stranger")


class ModelDeployment:
    """Deployment of random parameters on the model, with helpers to open and liquidate vaults."""

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        self.deployment = plan_deployment(parameters)
        self.system = create_model(self.deployment)
        apply_configuration(self.system, self.deployment)

    def apply_call_and_test_success(
        self, contract: str, method: str, *args: Any, sender: str = STRANGER
    ) -> bool:
        """Run a call, and return whether it succeeded."""
        return self.system.apply(Action(contract, method, args, sender)).ok

    def apply_call_for_value(self, contract: str, method: str, *args: Any, sender: str = STRANGER) -> Any:
        """Run a call that must succeed, and return its value."""
        outcome = self.system.apply(Action(contract, method, args, sender))
        assert outcome.ok, f"{contract}.{method}{args}: {outcome.reason}"
        return outcome.value

    def read_view(self, contract: str, view: str, *args: Any) -> Any:
        """Return the value of a view function of a contract."""
        return getattr(self.system.world.contracts[contract], view)(STRANGER, *args)

    def report_price(self, market: int, feed: FeedParameters, price: int) -> None:
        """Report a price [ray] by all reporters until it is both current and next price."""
        for _ in range(2 * feed.confirmations + 3):
            self.system.advance(feed.step)
            for i in range(feed.reporters):
                reporter = self.deployment.get_account(f"reporter_{i + 1}")
                self.apply_call_for_value("PriceFeed", "report", market, price, sender=reporter)
            self.apply_call_for_value("PriceFeed", "poke", market)
            prices = self.read_view("PriceFeed", "prices_of", market)
            if prices.current == prices.next == price:
                return

    def liquidate_new_vault(self, collateral_type: int) -> tuple[int, int]:
        """Open a vault that becomes unsafe and liquidate it.

        Return the auction's id and the price [ray].
        """
        price = self.open_unsafe_vault(collateral_type)
        return self.apply_call_for_value(
            "LiquidationEngine", "liquidate", collateral_type, BORROWER, STRANGER
        ), price

    def open_unsafe_vault(self, collateral_type: int) -> int:
        """Open a vault and report a price that makes it just unsafe; return that price [ray]."""
        each = self.parameters.collateral_types[collateral_type]
        self.report_price(collateral_type, each.feed, BEFORE)
        ceilings = [each.debt_ceiling, self.parameters.global_debt_ceiling, each.auction_limit]
        if self.parameters.guards is not None and each.policy.flow_cap:
            ceilings.append(each.policy.flow_cap)
        debt = max(each.debt_floor, 1, min(DEBT, *ceilings) - 1) * WAD
        unit = 10 ** (18 - each.decimals)
        collateral = (debt * RAY * COVERED // BEFORE // unit + 1) * unit
        self.apply_call_for_value(each.symbol, "mint", BORROWER, collateral // unit, sender=BORROWER)
        self.apply_call_for_value(
            each.symbol, "approve", self.deployment.addresses["VaultEngine"], MAX_UINT256, sender=BORROWER
        )
        self.apply_call_for_value(
            "VaultEngine",
            "deposit_and_draw",
            collateral_type,
            BORROWER,
            collateral,
            debt,
            BORROWER,
            sender=BORROWER,
        )
        price = debt * each.liquidation_ratio * RAY // (BASIS_POINTS * collateral) * 99 // 100
        self.report_price(collateral_type, each.feed, price)
        return price


def iter_timeliness_failures(parameters: Parameters) -> Iterator[str]:
    """Yield a text for each duty that a setting does not fulfil in time.

    The duties are the sale of unsafe vaults at the market's price, and an end to waiting for equity buyers.
    """
    for c, each in enumerate(parameters.collateral_types[:2]):
        if not each.debt_ceiling or each.token == "ReturnsFalseToken":
            continue
        if each.discount is not None:
            if not _sells_at_discount(parameters, c):
                yield f"nobody gets collateral of an unsafe vault of {each.symbol} at the feed's price"
        elif not _reaches_market(parameters, c):
            yield f"an auction of {each.symbol} needs a reset before it reaches the market's price"
    # Stages are asked the same whatever made the loss.
    first, *others = parameters.collateral_types
    waits = _find_endless_wait(replace(parameters, collateral_types=(replace(first, discount=None), *others)))
    if waits is not None:
        yield waits


def _sells_at_discount(parameters: Parameters, collateral_type: int) -> bool:
    """Return whether a vault that has just become unsafe is sold for no more than its worth.

    Roundings in the protocol's favour of a few units are allowed.
    """
    stage = ModelDeployment(parameters)
    price = stage.open_unsafe_vault(collateral_type)
    coins = stage.read_view("Stablecoin", "balanceOf", BORROWER)
    stage.apply_call_for_value("Stablecoin", "transfer", STRANGER, coins, sender=BORROWER)
    limits = (MAX_UINT256,) * 3
    args = collateral_type, BORROWER, *limits, STRANGER, b""
    outcome = stage.system.apply(Action("LiquidationEngine", "liquidate_and_buy", args, STRANGER))
    if not outcome.ok:
        # All of a debt that has grown by its fee is more than the borrower has drawn.
        return outcome.reason == "erc20: burn amount exceeds balance"
    got, paid = outcome.value
    unit = 10 ** (18 - parameters.collateral_types[collateral_type].decimals)
    return bool(paid * RAY <= (got + _ROUNDED_UNITS * unit) * price + RAY)


def _reaches_market(parameters: Parameters, collateral_type: int) -> bool:
    """Return whether an auction's price falls to the feed's price before the auction needs a reset."""
    stage, tail = ModelDeployment(parameters), parameters.collateral_types[collateral_type].auction.tail
    auction, price = stage.liquidate_new_vault(collateral_type)
    passed = 0
    while passed <= tail:
        needs_reset, asked, *_ = stage.read_view("CollateralAuction", "status", auction)
        if needs_reset or asked <= price:
            return not needs_reset
        # Some curves are through in a minute.
        wait = 1 if passed < LOOKS else max(1, tail // LOOKS)
        stage.system.advance(wait)
        passed += wait
    return False


def _find_endless_wait(parameters: Parameters) -> str | None:
    """Return the fault in settling a loss for which no equity is bought.

    None if there is no fault. An account records the breach for settlement meanwhile.
    """
    each = parameters.collateral_types[0]
    if parameters.equity is None or not each.debt_ceiling or each.token == "ReturnsFalseToken":
        return None
    stage = ModelDeployment(parameters)
    at, equity = stage.deployment.addresses, parameters.equity
    auction, _ = stage.liquidate_new_vault(0)
    principal = stage.read_view("CollateralAuction", "auction_of", auction).principal // RAY
    if principal < LEAST * WAD:
        return None
    for name in list_pools(parameters):
        pool = STAGES[name].contract
        stage.apply_call_for_value("Stablecoin", "approve", at[pool], WAD, sender=BORROWER)
        stage.apply_call_for_value(pool, "deposit", WAD, BORROWER, sender=BORROWER)
    stage.report_price(EQUITY_MARKET, equity.feed, RAY)
    if parameters.has_stage("staked_equity"):
        admin = stage.deployment.deployer
        stage.apply_call_for_value("Equity", "approve", at["StakedEquity"], 50 * WAD, sender=admin)
        stage.apply_call_for_value("StakedEquity", "deposit", 50 * WAD, STAKER, sender=admin)
    # What has no collateral is a loss at once, as the liquidation engine books it.
    stage.apply_call_for_value(
        "CollateralAuction", "write_off", 0, principal * RAY, sender=at["LiquidationEngine"]
    )
    epoch = parameters.epoch_length
    stage.system.advance(-(stage.system.timestamp + 1) % epoch)

    selling = [
        STAGES[each.name].contract for each in parameters.stages if STAGES[each.name].kind == "EquityAuction"
    ]
    for _ in range(2 * len(selling) + 1):
        stage.apply_call_and_test_success("LossWaterfall", "cover", 0)
        busy = [name for name in selling if stage.system.world.contracts[name].tables["sales"][0].target]
        if not busy:
            return None
        end = stage.system.timestamp + equity.duration + 1
        while stage.system.timestamp < end:
            if stage.apply_call_and_test_success("Settlement", "begin"):
                return f"settlement begins while {busy[0]} sells equity for the loss"
            stage.apply_call_and_test_success("Settlement", "record_deficit_breach")
            # From one epoch to the next, and from its last second to its first.
            until_last = -(stage.system.timestamp + 1) % epoch
            stage.system.advance(min(end - stage.system.timestamp, until_last or 1))
        stage.apply_call_for_value(busy[0], "end", 0)
    return "the stages that sell equity begin again and again, and those behind them are not asked"
