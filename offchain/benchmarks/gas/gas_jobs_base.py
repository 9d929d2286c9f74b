"""Base of the gas table's jobs: a deployment on a fresh Anvil, and its users."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any

from backstop.deployment.devnet_trader_signatures import sign_report
from backstop.deployment.model_and_chain_deployment import deploy_protocol
from backstop.deployment.parameter_dataclasses import Parameters
from backstop.deployment.role_accounts import get_account
from backstop.hosts.anvil import AnvilHost
from backstop.model.arithmetic import RAY, WAD
from backstop.system import Action

WETH, XAU = 0, 2


def disable_feed_deviation_and_grace(parameters: Parameters) -> Parameters:
    """Return the parameters with price feeds that accept a change of any size at once."""
    types = tuple(
        replace(each, feed=replace(each.feed, deviation=0, grace=0)) for each in parameters.collateral_types
    )
    return replace(parameters, collateral_types=types)


class GasJobs(ABC):
    """Base of a group of jobs: operations on contracts, measured for gas one after the other.

    Jobs run on a deployment that is already in use, so that no storage slot is written for the first time.
    """

    def __init__(self, host: AnvilHost, parameters: Parameters) -> None:
        self.deployment, _, chain = deploy_protocol(host, parameters)
        assert chain is not None
        self.chain = chain
        self.symbol = parameters.collateral_types[WETH].symbol
        self.reporters = [
            f"reporter_{i + 1}" for i in range(parameters.collateral_types[WETH].feed.reporters)
        ]
        self.step = parameters.collateral_types[WETH].feed.step

    @abstractmethod
    def measure_gas_by_job(self) -> dict[str, int]:
        """Run the jobs, and return the gas of each by job name."""

    def get_address(self, name: str) -> str:
        """Return the address of the deployed contract with a name."""
        return self.deployment.addresses[name]

    def send_call_and_return_gas(self, contract: str, method: str, *args: Any, sender: str) -> int:
        """Send a contract call, require that it succeeds, and return its gas."""
        outcome = self.chain.apply(Action(contract, method, args, get_account(sender)))
        assert outcome.ok, f"{contract}.{method}{args}: {outcome.reason}"
        return self.chain.gas

    def report_price(self, dollars: int, market: int = WETH) -> None:
        """Report a price [dollars] from all reporters of a price feed, and step the feed.

        The reported price becomes the feed's next price.
        """
        self.chain.advance(self.step)
        for reporter in self.reporters:
            price = dollars * RAY
            self.send_call_and_return_gas(
                "PriceFeed", "report_range", market, price, price, price, 0, sender=reporter
            )
        self.send_call_and_return_gas("PriceFeed", "poke", market, sender="stranger")

    def submit_signed_reports(self, dollars: int) -> int:
        """Submit a price [dollars] of ether signed by a quorum of reporters, and return the gas."""
        self.chain.advance(12)
        feed, at = self.get_address("PriceFeed"), self.chain.timestamp
        quorum = self.deployment.parameters.collateral_types[WETH].feed.quorum
        reports = [
            sign_report(get_account(who), WETH, dollars * RAY, at, self.deployment.chain_id, feed)
            for who in self.reporters[-quorum:]
        ]
        return self.send_call_and_return_gas(
            "PriceFeed", "submit_signed_reports", tuple(reports), sender="stranger"
        )

    def deposit_and_draw(self, who: str, collateral: int, debt: int, collateral_type: int = WETH) -> int:
        """Deposit collateral and draw debt [whole tokens] in a vault of `who`, and return the gas."""
        args = (collateral_type, get_account(who), collateral * WAD, debt * WAD, get_account(who))
        return self.send_call_and_return_gas("VaultEngine", "deposit_and_draw", *args, sender=who)

    def repay_debt(self, who: str, amount: int, collateral: int) -> int:
        """Repay debt [wad] and withdraw ether [whole tokens] from the vault of `who`; return the gas."""
        args = (WETH, get_account(who), amount, collateral * WAD, get_account(who))
        return self.send_call_and_return_gas("VaultEngine", "repay_and_withdraw", *args, sender=who)
