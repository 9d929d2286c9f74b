"""Deployment on the contracts' bytecode in process, compared with the model at each step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from backstop.deployment.parameter_dataclasses import Parameters
from backstop.deployment.role_accounts import get_account
from backstop.errors import BackstopError
from backstop.hosts.host_interface import GENESIS
from backstop.hosts.host_registry import open_host
from backstop.model.arithmetic import MAX_UINT256
from backstop.model.bounds import EQUITY_MARKET
from backstop.proof.lockstep import ProtocolLockstep, deploy_lockstep
from backstop.system import Action


class LockstepDeployment:
    """Deployment on contracts and model, with calls that use names of contracts and accounts."""

    def __init__(self, both: ProtocolLockstep, parameters: Parameters) -> None:
        self.both = both
        self.parameters = parameters

    def get_contract_or_account_address(self, name: str) -> str:
        """Return the address of a contract, or of the account with this name."""
        return self.both.addresses.get(name) or get_account(name)

    def apply_call(self, contract: str, method: str, *args: Any, sender: str) -> Any:
        """Run a transaction on contracts and model, and return its value.

        Raises BackstopError with the reason if the transaction reverts.
        """
        outcome = self.both.apply(
            Action(contract, method, args, self.get_contract_or_account_address(sender))
        )
        if outcome.reason is not None:
            raise BackstopError(f"{contract}.{method} reverted: {outcome.reason}")
        return outcome.value

    def read_view(self, contract: str, method: str, *args: Any) -> Any:
        """Return the value of a view function of a contract."""
        return self.both.view(contract, method, *args)

    def advance_time(self, seconds: int) -> None:
        """Advance the clock by a number of seconds."""
        self.both.advance(seconds)

    def report_price(self, market: int, price: int) -> None:
        """Report a price [ray] by all reporters, one feed step later, and poke the feed.

        The price becomes the market's next price. A second call makes it current.
        """
        equity = self.parameters.equity
        if market == EQUITY_MARKET:
            assert equity is not None
            feed = equity.feed
        else:
            feed = self.parameters.collateral_types[market].feed
        self.advance_time(feed.step)
        for i in range(feed.reporters):
            args = market, price, price, price, 0
            self.apply_call("PriceFeed", "report_range", *args, sender=f"reporter_{i + 1}")
        self.apply_call("PriceFeed", "poke", market, sender="stranger")

    def open_vault(self, who: str, collateral_type: int, collateral: int, debt: int) -> None:
        """Mint collateral with 18 decimals, deposit it in an account's vault and draw debt [wad]."""
        symbol = self.parameters.collateral_types[collateral_type].symbol
        self.apply_call(symbol, "mint", self.get_contract_or_account_address(who), collateral, sender=who)
        self.apply_call(
            symbol, "approve", self.get_contract_or_account_address("VaultEngine"), MAX_UINT256, sender=who
        )
        args = (
            collateral_type,
            self.get_contract_or_account_address(who),
            collateral,
            debt,
            self.get_contract_or_account_address(who),
        )
        self.apply_call("VaultEngine", "deposit_and_draw", *args, sender=who)

    def liquidate_vault(self, who: str, collateral_type: int) -> int:
        """Liquidate an account's vault, and return the auction's id."""
        args = (
            collateral_type,
            self.get_contract_or_account_address(who),
            self.get_contract_or_account_address("liquidator"),
        )
        return int(self.apply_call("LiquidationEngine", "liquidate", *args, sender="liquidator"))


@contextmanager
def open_lockstep_deployment(
    parameters: Parameters, timestamp: int = GENESIS
) -> Iterator[LockstepDeployment]:
    """Context manager that yields a new deployment on contracts and model.

    All state of contracts and model is compared at the end.
    """
    with open_host("revm", timestamp) as host:
        both = deploy_lockstep(host, parameters, check_every=0, traces=None)
        yield LockstepDeployment(both, parameters)
        both.compare_state()
