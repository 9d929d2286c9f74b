"""Crash of a margin market with many accounts: what deleveraging takes, of whom, in which calls.

Half of the accounts are long and half short, each pair with its own leverage and at its own price; one in
twenty shorts has sold to the same large account. The coin loses two thirds in minutes, as smaller ones did on
10 October 2025, and no liquidator acts. The market runs in lockstep, so that the figures are those of the
contracts. Other policies are computed for the same freezes. The largest freeze is then deleveraged again on
Anvil, from the same state, for its gas.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random
from typing import Any, NamedTuple, cast

from backstop.deployment.accounts import account
from backstop.deployment.examples import standard
from backstop.deployment.parameters import DomainParameters, MarginParameters, Parameters, PerpetualParameters
from backstop.deployment.signing import sign_order, trader
from backstop.errors import BackstopError
from backstop.hosts.by_name import open_host
from backstop.hosts.host import CHAIN_ID, Host
from backstop.hosts.words import State, words_of
from backstop.keepers.deleveraging import charges, in_order, standings
from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAY, WAD
from backstop.model.interfaces import LIQUIDATION
from backstop.model.margin_market import MarginMarket
from backstop.model.margin_orders import Order
from backstop.model.ranking import Ranking, Standing
from backstop.proof.lockstep import Lockstep, lockstep
from backstop.system import Action, Outcome

SYMBOL, MARKET = "WETH", 0
# Prices in stablecoins, at which pairs open their positions, and through which the coin falls.
ENTRIES = (2_000, 2_040, 1_980)
FALL = (1_700, 1_300, 900, 680)
LINE = 20_000_000
# One pair in this many has the large account as its long side.
LARGE = 20
# Accounts in one call, if all are charged: 20 and 26 million gas at most.
SUBMITTED, EXECUTED = 500, 400


class Toll(NamedTuple):
    """Charge of a policy for one position: its sum [wad], accounts charged, largest share of a gain."""

    taken: int
    charged: int
    most: int  # basis points of a gain


class Freeze(NamedTuple):
    """One insolvent position: its loss beyond insurance and what was taken for it [wad]."""

    lots: int
    loss: int
    taken: int
    greedy: Toll
    ranked: Toll
    shared: Toll
    others: int  # accounts on the other side


class Calls(NamedTuple):
    """Calls that deleverage one position, and their gas."""

    submit: int
    execute: int
    most_gas: int  # of the largest call
    all_gas: int


class Result(NamedTuple):
    """Figures over all freezes [wad]."""

    accounts: int
    freezes: list[Freeze]
    largest: Freeze | None
    calls: Calls | None  # of the largest
    insured: int
    posted: int
    left_alone: int  # insolvent accounts that nobody deleveraged
    steps: int
    fields: int  # compared between model and chain


class _Largest(NamedTuple):
    """Freeze with the most lots, with the state right after it began."""

    freeze: Freeze
    state: State
    timestamp: int
    ranked: list[str]


class Crash:
    """Deployment with a margin market, its accounts, and the fall."""

    def __init__(
        self,
        host: Host,
        accounts: int,
        seed: int,
        say: Callable[[str], None],
        policy: str = "ranked",
        most: int | None = None,
    ) -> None:
        """Deploy the market; `most` limits the accounts deleveraged at each price, deepest in debt first."""
        if accounts < 2:
            raise BackstopError("a market needs two accounts")
        self.random, self.pairs, self.say, self.most = Random(seed), accounts // 2, say, most
        self.nonce = 0
        terms = PerpetualParameters(SYMBOL, WAD // 100)
        margin = MarginParameters((terms,), domain="Perpetuals", policy=policy)
        domain = DomainParameters("Perpetuals", LINE)
        self.parameters = replace(standard(), domains=(domain,), margin=margin)
        self.both: Lockstep = lockstep(host, self.parameters, seed=seed, check_every=0, traces=None)
        contracts = self.both.model.world.contracts
        self.market = cast(MarginMarket, contracts["MarginMarket"])
        self.deleverager = cast(Ranking, contracts["MarginDeleverager"])
        self.largest: _Largest | None = None

    def play(self) -> Result:
        """Open the book, let the coin fall, deleverage at each price, and compare all state at the end."""
        self._open()
        self.say(f"{len(self.market.accounts)} accounts")
        freezes: list[Freeze] = []
        insured = 0
        for dollars in FALL:
            self._price(dollars)
            for owner in self._insolvent()[: self.most]:
                before = self.market.holdings[()]
                found = self._deleverage(owner)
                insured += self.market.holdings[()] - before
                freezes += [found] if found else []
            self.say(f"{dollars}: {len(freezes)} positions deleveraged")
        unpaid = self.market.interests[MARKET].unpaid
        posted = _do(self.both, "MarginMarket", "post_shortfall", MARKET).value if unpaid else 0
        self.both.check()
        return Result(
            len(self.market.accounts),
            freezes,
            self.largest.freeze if self.largest else None,
            _measured(self.parameters, self.largest) if self.largest else None,
            insured,
            posted,
            len(self._insolvent()),
            self.both.steps,
            self.both.fields_compared,
        )

    def _open(self) -> None:
        self._price(ENTRIES[0])
        rich = account("rich")
        _do(self.both, SYMBOL, "mint", rich, 50_000 * WAD, by=rich)
        _do(self.both, SYMBOL, "approve", self.both.addresses["VaultEngine"], MAX_UINT256, by=rich)
        drawn = 50_000 * WAD, 40_000_000 * WAD
        _do(self.both, "VaultEngine", "deposit_and_draw", 0, rich, *drawn, rich, by=rich)
        for contract in ("MarginMarket", "MarginFund"):
            _do(self.both, "Stablecoin", "approve", self.both.addresses[contract], MAX_UINT256, by=rich)
        _do(self.both, "MarginFund", "insure", 2 * self.pairs * WAD, by=rich)
        for i in range(self.pairs):
            if i % (self.pairs // len(ENTRIES) + 1) == 0:
                self._price(ENTRIES[i // (self.pairs // len(ENTRIES) + 1)])
            price = self.market._price(MARKET, LIQUIDATION)
            lots = self.random.randint(5, 500)
            long, short = f"long_{i}" if i % LARGE else "large", f"short_{i}"
            for name, leverages in ((long, (2, 3, 5, 8)), (short, (1, 2, 4, 8))):
                margin = lots * price // self.random.choice(leverages)
                _do(self.both, "MarginMarket", "deposit", trader(name), margin, by=rich)
            self._fill(long, short, lots, price)

    def _fill(self, buyer: str, seller: str, lots: int, price: int) -> None:
        self.nonce += 1
        sides: list[Any] = []
        for name, size in ((buyer, lots), (seller, -lots)):
            order = Order(trader(name), MARKET, size, price, MAX_UINT256, self.nonce)
            sides += [order, sign_order(name, order, CHAIN_ID, self.both.addresses["MarginOrders"])]
        _do(self.both, "MarginOrders", "fill", *sides, lots)

    def _insolvent(self) -> list[str]:
        """List insolvent accounts, the deepest in debt first."""
        worths = {
            owner: self.market._worth(owner, book, LIQUIDATION).equity
            for owner, book in self.market.accounts.items()
            if book.markets
        }
        return sorted((owner for owner, equity in worths.items() if equity < 0), key=lambda o: worths[o])

    def _deleverage(self, owner: str) -> Freeze | None:
        if _do(self.both, "MarginDeleverager", "begin", owner, MARKET).value == 0:
            return None
        left = self.deleverager.left[()]
        found = standings(self.deleverager, self.market)
        ranked, paid = in_order(self.deleverager.KIND, found), charges(found, left)
        own = paid.shared if self.deleverager.KIND == "MarginSharer" else paid.ranked
        is_largest = self.largest is None or left.lots > self.largest.freeze.lots
        state = State(words_of(self.both.model.world) if is_largest else {})
        charged, _ = _take(self.both, ranked)
        if charged != own:
            raise BackstopError(f"{owner}'s position was paid for by {charged}, computed were {own}")
        greedy, by_rank, shared = (_toll(each, found) for each in paid)
        freeze = Freeze(left.lots, left.loss, sum(charged.values()), greedy, by_rank, shared, len(ranked))
        if is_largest:
            self.largest = _Largest(freeze, state, self.both.timestamp, ranked)
        return freeze

    def _price(self, dollars: int) -> None:
        """Report a price twice, so that it is both the current and the next one."""
        feed = standard().collateral_types[0].feed
        for _ in range(2):
            self.both.advance(feed.step)
            for i in range(feed.reporters):
                _do(self.both, "PriceFeed", "report", 0, dollars * RAY, by=account(f"reporter_{i + 1}"))
            _do(self.both, "PriceFeed", "poke", 0)


def _toll(paid: Mapping[str, int], found: Mapping[str, Standing]) -> Toll:
    most = max((amount * BASIS_POINTS // found[owner].gain for owner, amount in paid.items()), default=0)
    return Toll(sum(paid.values()), len(paid), most)


def _take(both: Lockstep, ranked: list[str]) -> tuple[dict[str, int], Calls]:
    """Prove the ranking and execute it; return what each account paid, and the calls."""
    charged: Counter[str] = Counter()
    gas: dict[str, list[int]] = {"submit": [], "execute": []}
    deleverager = cast(Ranking, both.model.world.contracts["MarginDeleverager"])

    def do(method: str, argument: Any) -> None:
        for log in _do(both, "MarginDeleverager", method, argument).logs:
            if log.event == "Deleveraged":
                charged[log.values[1]] += log.values[3]
        gas[method].append(both.chain.gas)

    for i in range(0, len(ranked), SUBMITTED):
        do("submit", tuple(ranked[i : i + SUBMITTED]))
    while deleverager.cases[()].until:
        do("execute", EXECUTED)
    every = [*gas["submit"], *gas["execute"]]
    return dict(charged), Calls(len(gas["submit"]), len(gas["execute"]), max(every), sum(every))


def _measured(parameters: Parameters, largest: _Largest) -> Calls:
    """Deleverage the largest freeze on Anvil, where each call is a transaction and starts cold."""
    with open_host("anvil") as host:
        both = lockstep(host, parameters, check_every=0, traces=None)
        both.advance(largest.timestamp - both.timestamp)
        both.load(largest.state)
        return _take(both, largest.ranked)[1]


def _do(both: Lockstep, contract: str, method: str, *args: Any, by: str = "") -> Outcome:
    outcome = both.apply(Action(contract, method, args, by or account("stranger")))
    if outcome.reason is not None:
        raise BackstopError(f"{contract}.{method} reverted with {outcome.reason!r}")
    return outcome
