"""Gas of the pool that takes over positions in the margin market: its members, its keeper, its quotes."""

from __future__ import annotations

from dataclasses import replace

from backstop.deployment.accounts import account
from backstop.deployment.examples import margined
from backstop.deployment.parameters import BackstopParameters
from backstop.deployment.signing import sign_order, trader
from backstop.hosts.anvil import AnvilHost
from backstop.hosts.host import CHAIN_ID
from backstop.model.arithmetic import MAX_UINT256, WAD
from backstop.model.margin_orders import Order
from backstop.model.perpetual_backstop import encode_offer
from benchmarks.gas.cycles import DESK, MARKET, WINDOW, Cycles
from benchmarks.gas.jobs import WETH, Jobs

POOL, KEEPER = "PerpetualBackstop", "backstop_keeper"


class BackstopPool(Cycles):
    """Jobs of a pool of two members that takes 200 of 1,000 lots that are nobody's, and sells them."""

    def __init__(self, host: AnvilHost) -> None:
        parameters = margined(1_000, 500, 0)
        assert parameters.margin is not None
        margin = replace(parameters.margin, backstop=BackstopParameters(share=10_000), window=WINDOW)
        self.nonce = 0
        Jobs.__init__(self, host, replace(parameters, margin=margin))
        self.price(2_000)
        self.price(2_000)
        self.do(self.symbol, "mint", account("rich"), 10_000 * WAD, sender="rich")
        self.do(self.symbol, "approve", self.at("VaultEngine"), MAX_UINT256, sender="rich")
        self.draw("rich", 10_000, 5_000_000)
        for spender in (MARKET, POOL):
            self.do("Stablecoin", "approve", self.at(spender), MAX_UINT256, sender="rich")

    def run(self) -> dict[str, int]:
        """Return the gas of each job by name."""
        used: dict[str, int] = {}
        self._enter("member", 20_000)
        self._enter("other member", 20_000)
        used["backstop: deposit"] = self._enter("member", 1_000)
        self._ask("member", 2)
        used["backstop: request"] = self._ask("other member", 2)
        batch = self.chain.timestamp // 86_400
        for name, coins in (("first", 100_000), ("long", 3_000), ("other", 100_000)):
            self.deposit(name, coins)
        self.bring(2_000)
        self.fill("long", "first", 1_000)
        self.bring(1_600)
        self.do(MARKET, "meet", trader("long"), sender="stranger")
        self.do(POOL, "take", WETH, 100, sender=KEEPER)
        used["backstop: take"] = self.do(POOL, "take", WETH, 100, sender=KEEPER)
        used["backstop: liquidate"] = self._liquidate()
        used["backstop: quote"] = self.do(POOL, "quote", WETH, sender="stranger")
        self._sell(100)
        used["backstop: fill a quote"] = self._sell(100)
        self._sell(100)
        self.chain.advance(4 * 86_400)
        for _ in range(3):
            self._roll()
        self.do(MARKET, "wake", self.at(POOL), sender="stranger")
        self.do(POOL, "leave", batch, account("member"), sender="stranger")
        leaves = self.do(POOL, "leave", batch, account("other member"), sender="stranger")
        used["backstop: leave with profit"] = leaves
        return used

    def _enter(self, name: str, coins: int) -> int:
        """Deposit whole stablecoins for a member and return the gas."""
        return self.do(POOL, "deposit", coins * WAD, account(name), sender="rich")

    def _ask(self, name: str, part: int) -> int:
        """Commit a part of 20,000 and return the gas."""
        who = account(name)
        return self.do(POOL, "requestRedeem", 20_000 * WAD * 10**6 // part, who, who, sender=name)

    def _liquidate(self) -> int:
        """Have the pool take over 100 lots of an account that was long, and return the gas."""
        self.deposit("weak", 1_000)
        self.bring(1_600)
        self.fill("weak", "first", 400, 16 * WAD)
        self.bring(1_400)
        return self.do(POOL, "liquidate", trader("weak"), WETH, 100, sender=KEEPER)

    def _sell(self, lots: int) -> int:
        """Have somebody fill a part of the pool's quote, and return the gas."""
        self.nonce += 1
        self.bring(1_700)
        price = 17 * WAD * 1_002 // 1_000
        mine = Order(self.at(POOL), WETH, -lots, price, MAX_UINT256, self.nonce, True)
        theirs = Order(trader("other"), WETH, lots, price, MAX_UINT256, self.nonce + 1)
        signed = sign_order("other", theirs, CHAIN_ID, self.at("MarginOrders"))
        self.do(DESK, "check_risk", trader("other"), sender="stranger")
        return self.do(
            "MarginOrders", "fill", mine, encode_offer(*mine[1:6]), theirs, signed, lots, sender="stranger"
        )
