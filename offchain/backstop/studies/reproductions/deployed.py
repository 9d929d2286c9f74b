"""Deployment on the contracts' bytecode in process, compared with the model at each step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from backstop.deployment.accounts import account
from backstop.deployment.parameters import Parameters
from backstop.errors import BackstopError
from backstop.hosts.by_name import open_host
from backstop.hosts.host import GENESIS
from backstop.model.arithmetic import MAX_UINT256
from backstop.model.bounds import EQUITY_MARKET
from backstop.proof.lockstep import Lockstep, lockstep
from backstop.system import Action


class Deployed:
    """Deployment whose calls name contracts and accounts instead of addresses."""

    def __init__(self, both: Lockstep, parameters: Parameters) -> None:
        self.both = both
        self.parameters = parameters

    def at(self, name: str) -> str:
        """Return the address of a contract, or of the account with this name."""
        return self.both.addresses.get(name) or account(name)

    def do(self, contract: str, method: str, *args: Any, sender: str) -> Any:
        """Run a call and return its value; BackstopError with the reason if it reverts."""
        outcome = self.both.apply(Action(contract, method, args, self.at(sender)))
        if outcome.reason is not None:
            raise BackstopError(f"{contract}.{method} reverted: {outcome.reason}")
        return outcome.value

    def read(self, contract: str, method: str, *args: Any) -> Any:
        """Call a view."""
        return self.both.view(contract, method, *args)

    def advance(self, seconds: int) -> None:
        """Let time pass."""
        self.both.advance(seconds)

    def price(self, market: int, price: int) -> None:
        """Report a price [ray] that becomes the market's next one, a step of its feed later."""
        equity = self.parameters.equity
        if market == EQUITY_MARKET:
            assert equity is not None
            feed = equity.feed
        else:
            feed = self.parameters.collateral_types[market].feed
        self.advance(feed.step)
        for i in range(feed.reporters):
            args = market, price, price, price, 0
            self.do("PriceFeed", "report_range", *args, sender=f"reporter_{i + 1}")
        self.do("PriceFeed", "poke", market, sender="stranger")

    def borrow(self, who: str, c: int, collateral: int, debt: int) -> None:
        """Mint collateral of 18 decimals for an account, lock it and draw against it [wad]."""
        symbol = self.parameters.collateral_types[c].symbol
        self.do(symbol, "mint", self.at(who), collateral, sender=who)
        self.do(symbol, "approve", self.at("VaultEngine"), MAX_UINT256, sender=who)
        args = (c, self.at(who), collateral, debt, self.at(who))
        self.do("VaultEngine", "deposit_and_draw", *args, sender=who)

    def liquidate(self, who: str, c: int) -> int:
        """Liquidate a vault and return the auction's id."""
        args = (c, self.at(who), self.at("liquidator"))
        return int(self.do("LiquidationEngine", "liquidate", *args, sender="liquidator"))


@contextmanager
def deployed(parameters: Parameters, timestamp: int = GENESIS) -> Iterator[Deployed]:
    """Open a fresh deployment at a time, and compare all state when it is closed."""
    with open_host("revm", timestamp) as host:
        both = lockstep(host, parameters, check_every=0, traces=None)
        yield Deployed(both, parameters)
        both.check()
