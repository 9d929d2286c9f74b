"""A market that has fallen: one vault is unsafe, and there is money to buy its collateral with."""

from __future__ import annotations

from backstop.deployment.role_accounts import get_account
from backstop.live.operate.live_system import LiveSystem
from backstop.model.arithmetic import RAY, WAD
from backstop.system import Action

ETH = 0
BORROWER = get_account("borrower")


def apply_successful_call(system: LiveSystem, contract: str, method: str, *args: object, sender: str) -> None:
    outcome = system.apply(Action(contract, method, args, get_account(sender)))
    assert outcome.ok, outcome.reason


def report_price(system: LiveSystem, price: int, collateral_type: int = ETH) -> None:
    """Report a price of a type by all reporters, and step the feed."""
    c = collateral_type
    for i in range(system.deployment.parameters.collateral_types[c].feed.reporters):
        apply_successful_call(system, "PriceFeed", "report", c, price * RAY, sender=f"reporter_{i + 1}")
    apply_successful_call(system, "PriceFeed", "poke", c, sender="borrower")


def report_other_prices(system: LiveSystem) -> None:
    """Report prices of bitcoin and staked ether, which an exported scenario needs."""
    for collateral_type, price in ((1, 8_000), (2, 1_600)):
        report_price(system, price, collateral_type)


def post_price(system: LiveSystem, price: int) -> None:
    """Report a price of ether until it is the current one."""
    for _ in range(2):
        report_price(system, price)
        system.advance(600)


def open_vaults_and_drop_price(system: LiveSystem) -> None:
    """Open two vaults and a market at 200, then let the price fall to 150."""
    post_price(system, 200)
    maker, engine = get_account("market_maker"), "VaultEngine"
    apply_successful_call(system, "ETH", "mint", maker, 50_000 * WAD, sender="market_maker")
    for spender in (engine, "Market.ETH"):
        address = system.addresses[spender]
        apply_successful_call(system, "ETH", "approve", address, 50_000 * WAD, sender="market_maker")
        apply_successful_call(
            system, "Stablecoin", "approve", address, 5_000_000 * WAD, sender="market_maker"
        )
    amounts = (40_000 * WAD, 2_000_000 * WAD)
    apply_successful_call(
        system, engine, "deposit_and_draw", ETH, maker, *amounts, maker, sender="market_maker"
    )
    apply_successful_call(
        system, engine, "deposit_and_draw", ETH, BORROWER, 300 * WAD, 0, BORROWER, sender="market_maker"
    )
    apply_successful_call(
        system, engine, "deposit_and_draw", ETH, BORROWER, 0, 38_000 * WAD, BORROWER, sender="borrower"
    )
    apply_successful_call(
        system, "Market.ETH", "set_liquidity", 5_000 * WAD, 750_000 * WAD, sender="market_maker"
    )
    post_price(system, 150)


def liquidate_borrower_and_advance_time(system: LiveSystem) -> None:
    """Start the auction, and let half an hour pass, after which its price is under the market's."""
    liquidator = get_account("liquidator")
    apply_successful_call(
        system, "LiquidationEngine", "liquidate", ETH, BORROWER, liquidator, sender="liquidator"
    )
    system.advance(1_800)
