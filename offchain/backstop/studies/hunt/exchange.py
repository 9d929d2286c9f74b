"""The margin market to hunt in: a setting drawn, honest keepers who meet losses, and what everybody has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any, cast

from backstop.deployment.accounts import account
from backstop.deployment.contracts import margin_market
from backstop.deployment.examples import margined
from backstop.deployment.parameters import MarginParameters, SettlementParameters
from backstop.deployment.signing import sign_order, trader
from backstop.hosts.host import CHAIN_ID
from backstop.hosts.model import ModelSystem
from backstop.keepers.deleveraging import in_order
from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from backstop.model.interfaces import LAST, LIQUIDATION
from backstop.model.margin_orders import Order
from backstop.studies.hunt.setting import BANK, HOUR, KEEPER, Setting
from backstop.system import Action, Outcome

OWN = ("attacker", "second_self", "third_self")
"""Traders of one owner."""
HONEST = ("maker", "other", "bystander")
PRICES = (2_000 * RAY, 30_000 * RAY, 2_000 * RAY)
MARKET = 0


def draw_exchange(random: Random, policy: str = "") -> Setting:
    """Draw a deployment with perpetual markets, of a policy or of one with rankings, and deposits."""
    plain = margined()
    assert plain.margin is not None
    margin: MarginParameters = replace(
        plain.margin,
        policy=policy or random.choice(("ranked", "shared")),
        cap=random.choice((2_000, 100_000)),
    )
    parameters = replace(
        plain,
        margin=margin,
        settlement=SettlementParameters(delay=HOUR, bound=0, epochs=1),
        equity=None,
        stages=tuple(each for each in plain.stages if "equity" not in each.name),
    )
    return Setting(parameters, tuple(_opening(Setting(parameters, (), ()), random)), (), PRICES)


def _opening(setting: Setting, random: Random) -> Iterator[Action]:
    deployment = setting.deployment
    at = deployment.addresses
    for c, price in enumerate(PRICES):
        for i in range(3):
            yield Action("PriceFeed", "report", (c, price), account(f"reporter_{i + 1}"))
        yield Action("PriceFeed", "poke", (c,), KEEPER)
    yield Action("WETH", "mint", (BANK, 10**5 * WAD), BANK)
    yield Action("WETH", "approve", (at["VaultEngine"], MAX_UINT256), BANK)
    yield Action("VaultEngine", "deposit_and_draw", (0, BANK, 10**4 * WAD, 10**6 * WAD, BANK), BANK)
    assert setting.parameters.margin is not None
    market = margin_market(setting.parameters.margin)
    for name in (market, "MarginFund"):
        yield Action("Stablecoin", "approve", (at[name], MAX_UINT256), BANK)
    insured = random.choice((0, 1_500, 50_000))
    if insured:
        yield Action("MarginFund", "insure", (insured * WAD,), BANK)
    for name in (*OWN, *HONEST):
        amount = random.choice((2_000, 3_000, 7_000, 10_000, 30_000)) * WAD
        yield Action(market, "deposit", (trader(name), amount), BANK)


class Exchange:
    """The market with its honest people."""

    MARKET = "MarginMarket"

    def __init__(self, setting: Setting, system: ModelSystem, in_parts: bool = False) -> None:
        self.setting = setting
        self.system = system
        # Whether keepers do in many calls what one can do.
        self.in_parts = in_parts
        self.contracts: dict[str, Any] = dict(system.world.contracts)
        self.done: list[Action | int] = []
        # What the owner of several accounts did, in words.
        self.notes: list[str] = []
        # Calls that did not give what they say, or did not succeed: how much that is [wad].
        self.broken: dict[str, int] = {}
        # Whether a loss was met in a freeze.
        self.froze = False
        self._nonce = 0

    def do(self, by: str, contract: str, method: str, *args: object) -> Outcome:
        """Act, and keep what was done."""
        action = Action(contract, method, args, by)
        outcome = self.system.apply(action)
        if outcome.ok:
            self.done.append(action)
        return outcome

    def step(self, price: int) -> None:
        """Let a step of the feed pass, at whose end all reporters have a price of the first type."""
        self.system.advance(HOUR)
        self.done.append(HOUR)
        for c, usual in enumerate(PRICES):
            for i in range(3):
                self.do(account(f"reporter_{i + 1}"), "PriceFeed", "report", c, usual if c else price)
            self.do(KEEPER, "PriceFeed", "poke", c)

    def trade(self, buyer: str, seller: str, lots: int, price: int) -> bool:
        """Have two traders trade at a price [wei a lot]; False if rules refuse it."""
        self._nonce += 1
        contract = self.setting.deployment.addresses["MarginOrders"]
        signed: list[object] = []
        for name, size in ((buyer, lots), (seller, -lots)):
            order = Order(trader(name), MARKET, size, price, MAX_UINT256, self._nonce, False)
            signed += [order, sign_order(name, order, CHAIN_ID, contract)]
        had = self.size(trader(buyer))
        filled = self.do(KEEPER, "MarginOrders", "fill", *signed, lots).ok
        if filled and self.size(trader(buyer)) != had + lots:
            self._complain("a fill is not what was signed", lots * price)
        return filled

    def price(self) -> int:
        """Return the feed's price [wei a lot]."""
        return int(self.system.view("MarginPolicy", "price_of", MARKET, LAST, True))

    def meet_losses(self) -> None:
        """Have the fund, those who gained and the protocol pay for whoever owes more than he has."""
        for owner in self.owners():
            if self.size(owner) and self.equity(owner, LIQUIDATION) < 0:
                begun = self.do(KEEPER, "MarginDeleverager", "begin", owner, MARKET)
                if begun.ok and begun.value:
                    self.froze = True
                    ranked = self._ranked()
                    for part in [[each] for each in ranked] if self.in_parts else [ranked]:
                        self.do(KEEPER, "MarginDeleverager", "submit", part)
                    # The second round is as long as the first.
                    for _ in range(2 * len(ranked) if self.in_parts else 1):
                        self.do(KEEPER, "MarginDeleverager", "execute", 1 if self.in_parts else 100)
        if self.unpaid():
            self.do(KEEPER, "MarginMarket", "post_shortfall", MARKET)

    def end(self, who: str = KEEPER) -> bool:
        """Have the market close for good; return whether it has."""
        return self.do(who, self.MARKET, "begin_close").ok

    def settle(self) -> None:
        """Close the market for good, and everybody's position; all take out what they have."""
        self.end()
        while longs := [owner for owner in self.owners() if self.size(owner) > 0]:
            short = next(owner for owner in self.owners() if self.size(owner) < 0)
            lots = min(self.size(longs[0]), -self.size(short))
            if not self.do(KEEPER, "MarginMarket", "close_out", longs[0], short, MARKET, lots).ok:
                break
        for owner in self.owners():
            cash = self.cash(owner)
            if cash > 0:
                self.do(owner, self.MARKET, "withdraw", cash, owner)

    def leave(self) -> None:
        """Have everybody close what has another side, take out what is his, and be paid profits later."""
        names = {trader(name): name for name in (*OWN, *HONEST)}
        for long in names:
            for short in names:
                lots = min(self.size(long), -self.size(short))
                if lots > 0:
                    self.trade(names[short], names[long], lots, self.price())
        for owner in self.owners():
            cash = self.cash(owner)
            if cash > 0 and not self.size(owner):
                self._give("withdraw", owner, cash)
        margin = cast(MarginParameters, self.setting.parameters.margin)
        vested = margin.bucket * (margin.buckets + 1)
        self.system.advance(vested)
        self.done.append(vested)
        now = self.system.timestamp // margin.bucket
        for owner in self.owners():
            for bucket in range(now - 2 * margin.buckets, now - margin.buckets + 1):
                kept = int(self.system.view("MarginFund", "profit_of", owner, bucket))
                if kept:
                    self._give("claim", owner, kept, bucket)

    def _give(self, method: str, owner: str, amount: int, bucket: int = 0) -> None:
        """Take money out, or claim a profit; complain if it does not succeed, or if less arrives."""
        had = self._coins(owner)
        if method == "withdraw":
            outcome = self.do(owner, self.MARKET, method, amount, owner)
        else:
            outcome = self.do(KEEPER, "MarginFund", method, owner, bucket)
        if not outcome.ok:
            self._complain(f"{method} reverts ({outcome.reason})", amount)
        elif method == "claim" and self._coins(owner) < had + amount:
            self._complain(f"{method} gives too little", had + amount - self._coins(owner))

    def _complain(self, what: str, amount: int) -> None:
        self.broken[what] = max(amount, self.broken.get(what, 0))

    def _coins(self, owner: str) -> int:
        return int(self.contracts["Stablecoin"].balances[owner])

    @property
    def settling(self) -> bool:
        """True once settlement of the protocol has begun."""
        return bool(self.contracts["Settlement"].progress[()].begun_at)

    def owners(self) -> list[str]:
        """Return all accounts that ever were."""
        return list(self.contracts["MarginMarket"].tables["margin_book.accounts"])

    def cash(self, owner: str) -> int:
        """Return what an account without lots may take out [wad]."""
        return int(self.contracts["MarginMarket"].accounts[owner].cash)

    def size(self, owner: str) -> int:
        """Return a position [lots]."""
        return int(self.system.view("MarginMarket", "position_of", owner, MARKET).size)

    def equity(self, owner: str, kind: int = LAST) -> int:
        """Return what an account is worth [wad]."""
        return int(self.system.view("MarginMarket", "worth_of", owner, kind).equity)

    def unpaid(self) -> int:
        """Return what nobody has paid yet [wad]."""
        return int(self.system.view("MarginMarket", "interest_of", MARKET).unpaid)

    def wealth(self) -> dict[str, int]:
        """Return what each honest trader, the owner of the others, and the house have [wad].

        The house is the fund, of which settlement pays nothing out, and the protocol with what it bears.
        """
        types = self.setting.parameters.type_names
        domain = cast(MarginParameters, self.setting.parameters.margin).domain
        found = {name: self._has(trader(name)) for name in HONEST}
        found["coalition"] = sum(self._has(trader(name)) for name in OWN)
        deficit = int(self.system.view("VaultEngine", "deficit_of", types.index(domain))) // RAY
        found["the house"] = self.insured() - deficit - self.unpaid()
        return found

    def insured(self) -> int:
        """Return what the fund has for losses [wad]."""
        return 0 if self.settling else int(self.system.view("MarginFund", "insurance_of").amount)

    def _has(self, owner: str) -> int:
        margin = cast(MarginParameters, self.setting.parameters.margin)
        bucket = self.system.timestamp // margin.bucket
        profits = range(bucket - margin.buckets, bucket + 1)
        kept = sum(int(self.system.view("MarginFund", "profit_of", owner, each)) for each in profits)
        coins = int(self.contracts["Stablecoin"].balances[owner])
        return self.equity(owner) + coins + kept

    def _ranked(self) -> list[str]:
        deleverager = self.contracts["MarginDeleverager"]
        found = {each: deleverager.standing_of("", each) for each in self.owners()}
        return in_order(deleverager.KIND, {each: at for each, at in found.items() if at.lots})
