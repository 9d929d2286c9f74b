"""A deployment that is played in lockstep up to the moment in which something breaks."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from backstop.deployment.contracts_by_parameter_name import STAGES
from backstop.deployment.role_accounts import get_account
from backstop.errors import BackstopError
from backstop.hosts.abi_codec import Parameter
from backstop.hosts.revm import RevmHost
from backstop.model.arithmetic import MAX_UINT256, RAY
from backstop.model.bounds import EQUITY_MARKET
from backstop.proof.lockstep import ProtocolLockstep
from backstop.system import Action

EQUITY = "Equity"
AGGREGATOR, ADAPTER, ADAPTED = "Aggregator", "Chainlink", "WBTC"
"""An aggregator, the contract that reports its answers beside the others, and for what."""
REPORTERS = ("reporter_1", "reporter_2", "reporter_3", "reporter_4")


def list_reporters(symbol: str) -> tuple[str, ...]:
    """Return the accounts that report prices for a market.

    In the market with an aggregator, its adapter takes the place of the last account.
    """
    return REPORTERS[:-1] if symbol == ADAPTED else REPORTERS


class FaultScenario:
    """Deployment on model and chain for fault tests, with contracts, accounts and prices by name.

    Any revert while the scenario is set up is an error.
    """

    def __init__(self, both: ProtocolLockstep) -> None:
        assert both.parameters is not None
        self.both = both
        self.parameters = both.parameters
        self.markets = {each.symbol: c for c, each in enumerate(self.parameters.collateral_types)}
        self.markets[EQUITY] = EQUITY_MARKET
        self.prices: dict[str, int | Fraction] = {}
        self.stages = [STAGES[stage.name].contract for stage in self.parameters.stages]
        self._codes: dict[str, bytes] = {}

    def get_address(self, name: str) -> str:
        """Return the address of a contract or an account by name."""
        return self.both.addresses.get(name) or get_account(name)

    def build_action(self, call: str, *args: Any, by: str) -> Action:
        """Return a call "Contract.method" as an action; addresses may be given as names."""
        contract, method = call.rsplit(".", 1)
        inputs = self.both.chain.get_function(contract, method, len(args)).inputs
        values = tuple(self._resolve_address(p, value) for p, value in zip(inputs, args, strict=True))
        return Action(contract, method, values, self.get_address(by))

    def run_call_or_raise(self, call: str, *args: Any, by: str) -> Any:
        """Execute "Contract.method" on model and chain and return its value.

        Addresses may be given as names. Raises BackstopError on a revert.
        """
        return self.run_action_or_raise(self.build_action(call, *args, by=by))

    @property
    def host(self) -> RevmHost:
        """Host that runs the chain; only there can a component be broken."""
        host = self.both.chain.host
        assert isinstance(host, RevmHost)
        return host

    def get_code(self, name: str) -> bytes:
        """Return a contract's own code, cached at the first request.

        The first request must come before the code is replaced.
        """
        if name not in self._codes:
            self._codes[name] = self.host.get_code(self.get_address(name))
        return self._codes[name]

    def encode_call(self, call: str, *args: Any) -> bytes:
        """Return the ABI-encoded call data of "Contract.method"."""
        contract, method = call.rsplit(".", 1)
        return self.both.chain.get_function(contract, method, len(args)).encode_call(args)

    def run_action_or_raise(self, action: Action) -> Any:
        """Execute an action on model and chain and return its value; raise BackstopError on a revert."""
        outcome = self.both.apply(action)
        if outcome.reason is not None:
            raise BackstopError(f"the scene cannot be set: {action} reverted with {outcome.reason!r}")
        return outcome.value

    def read_view(self, call: str, *args: Any) -> Any:
        """Return the result of the view "Contract.method" on model and chain."""
        contract, method = call.rsplit(".", 1)
        return self.both.view(contract, method, *args)

    def advance_time(self, seconds: int) -> None:
        """Advance the time of model and chain by `seconds`."""
        self.both.advance(seconds)

    def post_prices(self, **prices: int | Fraction) -> None:
        """Update the feed for three hours until these prices [stablecoins] count.

        Prices given before are reported again. An hourly step first shows a far price, the next confirms it,
        and the third makes it current.
        """
        self.prices |= prices
        for _ in range(3):
            self.advance_time(3_600)
            for symbol, price in self.prices.items():
                if symbol == ADAPTED:
                    now = self.both.timestamp
                    self.run_call_or_raise(
                        f"{AGGREGATOR}.set_answer", 1, int(price * 10**8), now, now, 1, by="poker"
                    )
                    self.run_call_or_raise(f"{ADAPTER}.push", by="poker")
                for reporter in list_reporters(symbol):
                    said = int(price * RAY)
                    args = self.markets[symbol], said, said, said, 0
                    self.run_call_or_raise("PriceFeed.report_range", *args, by=reporter)
                self.run_call_or_raise("PriceFeed.poke", self.markets[symbol], by="poker")

    def open_vault(self, who: str, symbol: str, ratio: int, debt: int) -> None:
        """Lock collateral worth `ratio` [basis points] of a debt [wad], and draw this debt."""
        decimals = self.parameters.collateral_types[self.markets[symbol]].decimals
        unit = 10 ** (18 - decimals)
        locked = -int(-debt * ratio // 10_000 // self.prices[symbol] // unit) * unit
        self.run_call_or_raise(f"{symbol}.mint", who, locked // unit, by=who)
        self.run_call_or_raise(f"{symbol}.approve", "VaultEngine", MAX_UINT256, by=who)
        call = self.markets[symbol], who, locked, debt, who
        self.run_call_or_raise("VaultEngine.deposit_and_draw", *call, by=who)

    def approve_given_contracts_without_limit(
        self, owner: str, *contracts: str, token: str = "Stablecoin"
    ) -> None:
        """Approve contracts to spend an owner's tokens without limit."""
        for contract in contracts:
            self.run_call_or_raise(f"{token}.approve", contract, MAX_UINT256, by=owner)

    def _resolve_address(self, parameter: Parameter, value: Any) -> Any:
        if isinstance(value, str) and parameter.type == "address" and not value.startswith("0x"):
            return self.get_address(value)
        return value
