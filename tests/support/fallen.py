"""A market that has fallen: one vault is unsafe, and there is money to buy its collateral with."""

from __future__ import annotations

from backstop.deployment.accounts import account
from backstop.live.operate.system import LiveSystem
from backstop.model.arithmetic import RAY, WAD
from backstop.system import Action

ETH = 0
BORROWER = account("borrower")


def do(system: LiveSystem, contract: str, method: str, *args: object, sender: str) -> None:
    outcome = system.apply(Action(contract, method, args, account(sender)))
    assert outcome.ok, outcome.reason


def post(system: LiveSystem, price: int) -> None:
    """A price that counts at once."""
    for _ in range(2):
        for i in range(system.deployment.parameters.collateral_types[ETH].feed.reporters):
            do(system, "PriceFeed", "report", ETH, price * RAY, sender=f"reporter_{i + 1}")
        do(system, "PriceFeed", "poke", ETH, sender="borrower")
        system.advance(600)


def fall(system: LiveSystem) -> None:
    """Open two vaults and a market at 200, then let the price fall to 150."""
    post(system, 200)
    maker, engine = account("market_maker"), "VaultEngine"
    do(system, "ETH", "mint", maker, 50_000 * WAD, sender="market_maker")
    for spender in (engine, "Market.ETH"):
        address = system.addresses[spender]
        do(system, "ETH", "approve", address, 50_000 * WAD, sender="market_maker")
        do(system, "Stablecoin", "approve", address, 5_000_000 * WAD, sender="market_maker")
    amounts = (40_000 * WAD, 2_000_000 * WAD)
    do(system, engine, "deposit_and_draw", ETH, maker, *amounts, maker, sender="market_maker")
    do(system, engine, "deposit_and_draw", ETH, BORROWER, 300 * WAD, 0, BORROWER, sender="market_maker")
    do(system, engine, "deposit_and_draw", ETH, BORROWER, 0, 38_000 * WAD, BORROWER, sender="borrower")
    do(system, "Market.ETH", "set_liquidity", 5_000 * WAD, 750_000 * WAD, sender="market_maker")
    post(system, 150)


def liquidate(system: LiveSystem) -> None:
    """Start the auction, and let half an hour pass, after which its price is under the market's."""
    liquidator = account("liquidator")
    do(system, "LiquidationEngine", "liquidate", ETH, BORROWER, liquidator, sender="liquidator")
    system.advance(1_800)
