"""The external environment: prices, the markets' liquidity, the reporters of prices.

It acts before each block, by the block's time alone, so that actions lost in a rollback are repeated.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from types import MappingProxyType
from typing import Any

from backstop.deployment.model_and_chain_deployment import attach_system
from backstop.deployment.role_accounts import ACCOUNTS, get_account
from backstop.hosts.artifacts import Artifacts
from backstop.live.chaos.anvil_chain import AnvilChain
from backstop.live.node.gas_fees import GWEI
from backstop.live.node.live_host import LiveHost
from backstop.live.node.signers import Signers
from backstop.model.arithmetic import RAY
from backstop.simulation.scenario import Scenario
from backstop.simulation.scenario.brownian_bridge import price_path

_FUNDS = hex(10**24)
_GAS = hex(400_000)
# At any base fee, and a little more than keepers offer: the lowest tip of a block is what they offer next.
_MOST, _TIP = hex(100_000 * GWEI), hex(2 * GWEI)
_WITH_KEYS = frozenset(ACCOUNTS.values())
# Blocks between two looks at a market by those who trade it back to the price outside.
_MARKETS_EVERY = 4


class MarketActors:
    """Actors that set prices, market liquidity and price reports before each block of a chaos run."""

    def __init__(
        self,
        chain: AnvilChain,
        scenario: Scenario,
        seed: int,
        refilled: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self.chain = chain
        self.scenario = scenario
        self.refilled = refilled
        """Accounts that get so much at every step of the feed when they have less, stablecoin wad."""
        self.host = LiveHost(chain.node, Signers(test_accounts=False))
        self.system = attach_system(chain.deployment, self.host, Artifacts())
        self.begins = chain.head_block.timestamp
        self.paths = {
            symbol: price_path(
                path.points, path.volatility, seed, symbol, scenario.duration, scenario.block_time
            )
            for symbol, path in scenario.prices.items()
        }
        self.lies: dict[str, int] = {}
        """Lying reporters, and the factor by which each multiplies prices [percent]."""
        self._funded: set[str] = set()
        self._poked: dict[int, int] = {}
        self._reported: int | None = None

    def send_block_actions(self) -> None:
        """Send the transactions for the next block: liquidity, price reports, feed updates and refills."""
        head = self.chain.head_block
        now = head.timestamp + self.chain.block_time
        if (head.number + 1) % _MARKETS_EVERY == 0:
            for symbol in self.scenario.symbols:
                depth, price = self.scenario.markets[symbol].depth, self.get_price(symbol, now)
                self.send_call_for_hash(
                    "market_maker", f"Market.{symbol}", "set_liquidity", depth * RAY // price, depth
                )
        for c, terms in enumerate(self.chain.deployment.parameters.collateral_types):
            step = now // terms.feed.step
            if self._reported != step:
                self.send_reports(c, now)
            # The feed says itself whether a step is due.
            if self._poked.get(c) != step and self._would_succeed("poker", "PriceFeed", "poke", c):
                self.send_call_for_hash("poker", "PriceFeed", "poke", c)
                self._poked[c] = step
        if self._reported != now // self.chain.deployment.parameters.collateral_types[0].feed.step:
            self._refill_stablecoin_accounts()
        self._reported = now // self.chain.deployment.parameters.collateral_types[0].feed.step

    def _refill_stablecoin_accounts(self) -> None:
        for name, wad in self.refilled.items():
            if self.read_stablecoin_balance(name) < wad <= self.read_stablecoin_balance("market_maker"):
                self.send_call_for_hash("market_maker", "Stablecoin", "transfer", get_account(name), wad)

    def read_stablecoin_balance(self, name: str) -> int:
        """Return an account's stablecoin balance at the newest block, without pending transactions [wad]."""
        data = self.system.get_function("Stablecoin", "balanceOf", 1).encode_call((get_account(name),))
        token = self.system.addresses["Stablecoin"]
        return int.from_bytes(self.host.static_call(get_account(name), token, data, "latest").data)

    def forget_actions(self) -> None:
        """Forget which reports and feed updates were sent, so that they are repeated after a rollback."""
        self._poked, self._reported = {}, None

    def get_price(self, symbol: str, at: int) -> int:
        """Return the external market price of a collateral at a time [ray]."""
        path = self.paths[symbol]
        return path[min(max(0, at - self.begins) // self.scenario.block_time, len(path) - 1)]

    def send_reports(self, collateral_type: int, now: int) -> None:
        """Send a price report of each reporter for a collateral type at time `now`.

        Honest reporters report the market price, lying reporters a multiple of it.
        """
        terms = self.chain.deployment.parameters.collateral_types[collateral_type]
        for i in range(terms.feed.reporters):
            name = f"reporter_{i + 1}"
            price = self.get_price(terms.symbol, now) * self.lies.get(name, 100) // 100
            self.send_call_for_hash(
                name, "PriceFeed", "report_range", collateral_type, price, price, price, 0
            )

    # ------------------------------------------------------------------- sending

    def encode_call_target_and_data(self, contract: str, method: str, *args: Any) -> tuple[str, str]:
        """Return the target's address and the ABI-encoded data (hex) of a call."""
        function = self.system.get_function(contract, method, len(args))
        return self.system.addresses[contract], "0x" + function.encode_call(args).hex()

    def send_call_for_hash(self, actor_name: str, contract: str, method: str, *args: Any) -> str:
        """Send a call from a named account, with a high fee, and return the transaction's hash."""
        return self.send_raw_call_for_hash(
            actor_name, *self.encode_call_target_and_data(contract, method, *args)
        )

    def send_raw_call_for_hash(self, actor_name: str, to: str, data: str, **more: str) -> str:
        """Send a transaction from a named account and return its hash.

        `more` holds further or other transaction fields. The node signs for the accounts of roles, since no
        node can prove the sender of an unsigned call. Accounts without known keys are impersonated.
        """
        sender = get_account(actor_name)
        if sender not in self._funded:
            self.chain.node.request("anvil_setBalance", sender, _FUNDS)
            self._funded.add(sender)
        if sender not in _WITH_KEYS:
            self.chain.node.request("anvil_impersonateAccount", sender)
        call = {"from": sender, "to": to, "data": data, "gas": _GAS}
        call |= {"maxFeePerGas": _MOST, "maxPriorityFeePerGas": _TIP} | more
        return str(self.chain.node.request("eth_sendTransaction", call))

    def _would_succeed(self, who: str, contract: str, method: str, *args: Any) -> bool:
        to, data = self.encode_call_target_and_data(contract, method, *args)
        return self.host.static_call(get_account(who), to, bytes.fromhex(data[2:])).ok


def create_random(seed: int, name: str) -> Random:
    """Return a random number generator for one purpose, seeded by the seed and its name."""
    return Random(f"{seed} {name}")
