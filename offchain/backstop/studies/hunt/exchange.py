"""The margin market to hunt in: a setting drawn, honest keepers who meet losses, and what everybody has.

They mark, meet and roll each hour, and close by rank or by shares where a deployment does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any, cast

from backstop.deployment.contract_names import MARGIN_POLICIES
from backstop.deployment.deployment_parameters import MarginParameters, SettlementParameters
from backstop.deployment.devnet_signing import get_trader_account, sign_order
from backstop.deployment.example_parameters import build_margin_parameters
from backstop.deployment.role_accounts import get_account
from backstop.hosts.host_interface import CHAIN_ID
from backstop.hosts.model_system import ModelSystem
from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from backstop.model.bounds import MIN_RANKED
from backstop.model.margin_orders import Order
from backstop.model.perpetual_ranking import PerpetualRanking, gain_on, score_of
from backstop.studies.hunt.setting import BANK, HOUR, KEEPER, Setting
from backstop.system import Action, Outcome

OWN = ("attacker", "second_self", "third_self")
"""Traders of one owner."""
HONEST = ("maker", "other", "bystander")
PRICES = (2_000 * RAY, 30_000 * RAY, 2_000 * RAY)
MARKET = 0
HOUSE, CLOSER = "PerpetualMarket", "PerpetualCloser"
DEBTS = "debts of its own"
"""What the owner's accounts owed and others paid."""
STALE = "known moves on lots of nobody's"
"""What the owner's acts at marks of before may have made of them, at most."""
_ROUNDS = 8
_HOURS = 100
"""Until all final prices are there."""


def draw_exchange(random: Random) -> Setting:
    """Draw a deployment with perpetual markets, of any policy, and deposits."""
    plain = build_margin_parameters()
    assert plain.margin is not None
    margin: MarginParameters = replace(
        plain.margin,
        policy=random.choice(MARGIN_POLICIES),
        cap=random.choice((2_000, 100_000)),
        # New risk at any mark: the worst case.
        divergence=0,
        # A cycle is over at each look of the keepers, so that no debt is open when all is counted.
        window=HOUR // 2,
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
            args = c, price, price, price, 0
            yield Action("PriceFeed", "report_range", args, get_account(f"reporter_{i + 1}"))
        yield Action("PriceFeed", "poke", (c,), KEEPER)
    yield Action("WETH", "mint", (BANK, 10**5 * WAD), BANK)
    yield Action("WETH", "approve", (at["VaultEngine"], MAX_UINT256), BANK)
    yield Action("VaultEngine", "deposit_and_draw", (0, BANK, 10**4 * WAD, 10**6 * WAD, BANK), BANK)
    for name in (HOUSE, "MarginFund"):
        yield Action("Stablecoin", "approve", (at[name], MAX_UINT256), BANK)
    insured = random.choice((0, 1_500, 50_000))
    if insured:
        yield Action("MarginFund", "insure", (insured * WAD,), BANK)
    for name in (*OWN, *HONEST):
        amount = random.choice((2_000, 3_000, 7_000, 10_000, 30_000)) * WAD
        yield Action(HOUSE, "deposit", (get_trader_account(name), amount), BANK)


class Exchange:
    """The market with its honest people."""

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
        # Whether positions were closed by force.
        self.closed = False
        # By cycle: what debtors were given, of these the owner's, and haircuts of the owner's gains [wad].
        self.settled: dict[int, list[int]] = {}
        # What lots of nobody's may have been worth to it, by a move that it knew of [wad].
        self.stale = 0
        # Fees of an honest owner for closing its own pairs: nobody has a right to them [wad].
        self.fees = 0
        self._nonce = 0

    def do(self, by: str, contract: str, method: str, *args: object) -> Outcome:
        """Act, and keep what was done."""
        action = Action(contract, method, args, by)
        outcome = self.system.apply(action)
        if outcome.ok:
            self.done.append(action)
            for log in outcome.logs:
                if log.event == "Settled":
                    self._note_settled(*log.values)
        return outcome

    def _note_settled(self, owner: str, cycle: int, haircut: int, _booked: int, given: int) -> None:
        sums = self.settled.setdefault(cycle, [0, 0, 0])
        sums[0] += given
        if owner in map(get_trader_account, OWN):
            sums[1] += given
            sums[2] += haircut

    def forgiven(self) -> int:
        """Return what the owner's accounts owed and others paid [wad], rounded down.

        Of the haircuts of its own gains so much is for its own debts as these are of all debts of a cycle.
        """
        return sum(
            own - haircut * own // everybody for everybody, own, haircut in self.settled.values() if everybody
        )

    def step(self, price: int) -> None:
        """Let an hour pass; then marks are the feed's, who owes is met, and the cycle before is final."""
        self.report(price)
        self.do(KEEPER, HOUSE, "accrue", MARKET)
        self.meet_losses()
        self.do(KEEPER, HOUSE, "roll")
        self.meet_losses()
        self.close_by_force()

    def report(self, price: int) -> None:
        """Let a step of the feed pass, at whose end all reporters have a price of the first type."""
        self.system.advance(HOUR)
        self.done.append(HOUR)
        for c, usual in enumerate(PRICES):
            for i in range(3):
                said = usual if c else price
                reporter = get_account(f"reporter_{i + 1}")
                self.do(reporter, "PriceFeed", "report_range", c, said, said, said, 0)
            self.do(KEEPER, "PriceFeed", "poke", c)

    def trade(self, buyer: str, seller: str, lots: int, price: int) -> bool:
        """Have two traders trade at a price [wei a lot]; False if rules refuse it."""
        self._nonce += 1
        contract = self.setting.deployment.addresses["MarginOrders"]
        signed: list[object] = []
        for name, size in ((buyer, lots), (seller, -lots)):
            order = Order(get_trader_account(name), MARKET, size, price, MAX_UINT256, self._nonce, False)
            signed += [order, sign_order(name, order, CHAIN_ID, contract)]
        had = self.size(get_trader_account(buyer))
        filled = self.do(KEEPER, "MarginOrders", "fill", *signed, lots).ok
        if filled and self.size(get_trader_account(buyer)) != had + lots:
            self._complain("a fill is not what was signed", lots * price)
        return filled

    def price(self) -> int:
        """Return the mark [wei a lot]."""
        return int(self.contracts[HOUSE].paths[MARKET].price)

    def meet_losses(self) -> None:
        """Meet whoever owes, until nothing changes; have the protocol pay what is late."""
        for _ in range(_ROUNDS):
            everyone = self.owners()
            if not any([self.do(KEEPER, HOUSE, "meet", owner).ok for owner in everyone]):
                break
        if self.unpaid():
            self.do(KEEPER, HOUSE, "post_shortfall")

    def close_by_force(self) -> None:
        """Have positions closed against lots of debtors, as the deployment says."""
        long, short = self.contracts[HOUSE].lots[MARKET]
        closer = self.contracts.get(CLOSER)
        if closer is None or long == short:
            return
        side = int(short > long)
        ranks = []
        for owner in self.owners():
            self.do(KEEPER, HOUSE, "wake", owner)
            gains = self.contracts[HOUSE].gains_of("", owner, MARKET)
            if gain_on(gains, side):
                ranks.append((score_of(gains, side), int(owner, 16), owner))
        ranked = isinstance(closer, PerpetualRanking)
        order = [owner for *_, owner in sorted(ranks, reverse=True)]
        order = order if ranked else sorted(order, key=lambda each: int(each, 16))
        # A call of a ranking has so many accounts.
        most = (MIN_RANKED if ranked else 1) if self.in_parts else max(1, len(order))
        parts = [tuple(order[first : first + most]) for first in range(0, len(order), most)]
        for method in ("submit", "execute") if ranked else ("share",):
            for part in parts:
                done = self.do(KEEPER, CLOSER, method, MARKET, side, part)
                self.closed = self.closed or (done.ok and method != "submit")

    def end(self, who: str = KEEPER) -> bool:
        """Have a market end at its final price; return whether it has."""
        return self.do(who, HOUSE, "end_market", MARKET).ok

    def settle(self) -> None:
        """Wait for final prices, close at them, and take out what everybody has once all losses are final."""
        price = int(self.contracts["PriceFeed"].prices[MARKET].current)
        for _ in range(_HOURS):
            if self.end():
                break
            self.report(price)
        for owner in self.owners():
            self.do(KEEPER, HOUSE, "wake", owner)
        for _ in range(3):
            self.step(price)
        for owner in self.owners():
            cash = self.cash(owner)
            if cash > 0:
                self.do(owner, HOUSE, "withdraw", cash, owner)

    def leave(self) -> None:
        """Have everybody close, against debtors' lots first, and take out what is theirs once it is final."""
        price = int(self.contracts["PriceFeed"].prices[MARKET].current)
        self.step(price)
        names = {get_trader_account(name): name for name in (*OWN, *HONEST)}
        for owner in names:
            longs, shorts = self.contracts[HOUSE].lots[MARKET]
            left = shorts - longs
            if self.size(owner) * left < 0:
                lots = min(abs(self.size(owner)), abs(left))
                self.do(owner, "PerpetualDesk", "take", MARKET, lots)
        for long in names:
            for short in names:
                lots = min(self.size(long), -self.size(short))
                if lots > 0:
                    self.trade(names[short], names[long], lots, self.price())
        for _ in range(3):
            self.step(price)
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
            outcome = self.do(owner, HOUSE, method, amount, owner)
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
        return list(self.contracts[HOUSE].accounts)

    def cash(self, owner: str) -> int:
        """Return what an account without lots may take out [wad]."""
        self.do(KEEPER, HOUSE, "wake", owner)
        standing = self.system.view(HOUSE, "standing_of", owner)
        return int(standing.own - standing.haircut - standing.unfinal)

    def size(self, owner: str) -> int:
        """Return a position [lots]."""
        return int(self.contracts[HOUSE].positions[owner, MARKET].size)

    def weights(self) -> tuple[int, int]:
        """Return the lots that are long, and that are short."""
        long, short = self.contracts[HOUSE].lots[MARKET]
        return int(long), int(short)

    def count_stale(self, was: tuple[int, int], outside: int) -> None:
        """Count the move to the price outside on lots that were taken over, or changed against nobody's.

        Whoever is on the larger side of a market has more or fewer against it if the smaller side has
        changed, or if the larger one has; no more than were nobody's.
        """
        nobodys = abs(was[0] - was[1])
        if nobodys:
            now = self.weights()
            changed = max(abs(min(now) - min(was)), abs(abs(now[0] - now[1]) - nobodys))
            self.stale += min(changed, nobodys) * abs(outside * WAD // RAY // 100 - self.price())

    def equity(self, owner: str) -> int:
        """Return what an account is worth at the mark, bond and known haircuts counted [wad]."""
        self.do(KEEPER, HOUSE, "wake", owner)
        market = self.contracts[HOUSE]
        standing = self.system.view(HOUSE, "standing_of", owner)
        bond = market.third_bond * market.accounts[owner].bond.bit_count()
        return int(standing.own - standing.haircut + bond)

    def unpaid(self) -> int:
        """Return what is late [wad]."""
        return int(self.contracts[HOUSE].late_table[()])

    def wealth(self) -> dict[str, int]:
        """Return what each honest trader, the owner of the others, and the house have, and those debts [wad].

        The house is the fund, of which settlement pays nothing out, and the protocol with what it bears.
        """
        types = self.setting.parameters.type_names
        domain = cast(MarginParameters, self.setting.parameters.margin).domain
        found = {name: self._has(get_trader_account(name)) for name in HONEST}
        found["coalition"] = sum(self._has(get_trader_account(name)) for name in OWN) + self.fees
        deficit = int(self.system.view("VaultEngine", "deficit_of", types.index(domain))) // RAY
        found["the house"] = self.insured() - deficit - self.unpaid() - self.fees
        found[DEBTS] = max(0, self.forgiven())
        found[STALE] = self.stale
        return found

    def fees_of_market(self) -> int:
        """Return fees that the fund has not collected [wad]."""
        return int(self.contracts[HOUSE].fee_table[()])

    def insured(self) -> int:
        """Return what the fund has for losses, with fees and the pot [wad]."""
        market = self.contracts[HOUSE]
        own = self.fees_of_market() + int(market.pot[()].value)
        return own + int(self.system.view("MarginFund", "insurance_of").amount)

    def _has(self, owner: str) -> int:
        margin = cast(MarginParameters, self.setting.parameters.margin)
        bucket = self.system.timestamp // margin.bucket
        profits = range(bucket - margin.buckets, bucket + 1)
        kept = sum(int(self.system.view("MarginFund", "profit_of", owner, each)) for each in profits)
        coins = int(self.contracts["Stablecoin"].balances[owner])
        return self.equity(owner) + coins + kept
