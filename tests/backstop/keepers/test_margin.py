"""What keepers do about the margin market, against what its contracts say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from backstop.deployment.accounts import account
from backstop.deployment.parameters import (
    BreakerParameters,
    DomainParameters,
    GuardsParameters,
    MarginParameters,
    PerpetualParameters,
)
from backstop.deployment.signing import key_of, sign_digest, sign_order, trader
from backstop.keepers.approvals import approvals
from backstop.keepers.costs import measured
from backstop.keepers.group import GasPolicy, KeeperGroup
from backstop.keepers.keeper import Intent, Keeper, Memory
from backstop.keepers.margin_view import MarginView
from backstop.keepers.orders import OrderFile, order_line
from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAD, RAY, WAD
from backstop.model.interfaces import LAST, LIQUIDATION, RISK
from backstop.model.margin_book import Account, Interest, Position
from backstop.model.margin_market import MarginMarket
from backstop.model.margin_orders import Order, order_digest
from backstop.model.ranking import Ranking
from backstop.simulation.scenario import load_scenario
from backstop.simulation.worth import worth
from tests.support.world import SMALL, World

ETH, GOLD = 0, 1
"""The markets: a lot is a hundredth of an ether (2 stablecoins), a hundredth of an ounce."""
STEEP = ((200, 100), (1_000, 400))
TERMS = PerpetualParameters("ETH", WAD // 100, of_accounts=STEEP, of_market=((2_000, 100), (9_000, 300)))
MARGIN = MarginParameters((TERMS, PerpetualParameters("XAUT", WAD // 100)), domain="Perpetuals")
PAIRS = 12
TRADERS = [trader(f"{side}_{i}") for i in range(PAIRS) for side in ("long", "short")]
DOMAIN = DomainParameters("Perpetuals", line=1_000)


class Margin(World):
    """The small crash with a margin market, whose accounts its traders open."""

    def __init__(
        self, deleveraging: str = "ranked", guards: GuardsParameters | None = None, **changes: Any
    ) -> None:
        margin = replace(MARGIN, policy=deleveraging)
        parameters = {"margin": margin, "domains": (DOMAIN,), "guards": guards}
        super().__init__(parameters, **changes)
        self.nonce = 0
        for contract in ("MarginMarket", "MarginFund"):
            self.do("Stablecoin", "approve", self.run.at[contract], MAX_UINT256, by="market_maker")

    def do(self, contract: str, method: str, *args: object, by: str) -> None:
        self.run.must(contract, method, *args, sender=account(by))

    def deposit(self, name: str, coins: int) -> None:
        self.do("MarginMarket", "deposit", trader(name), coins * WAD, by="market_maker")

    def signed(self, name: str, size: int, price: int, market: int = ETH, **more: Any) -> tuple[Order, bytes]:
        self.nonce += 1
        values = {"expiry": MAX_UINT256, "nonce": self.nonce} | more
        order = Order(trader(name), market, size, price, **values)
        world = self.run.session.model.world
        return order, sign_order(name, order, world.chain_id, self.run.at["MarginOrders"])

    def trade(self, buyer: str, seller: str, lots: int, market: int = ETH) -> None:
        """At the last price."""
        price = self.margin.price(market, LAST)
        assert price is not None
        one, other = self.signed(buyer, lots, price, market), self.signed(seller, -lots, price, market)
        self.do("MarginOrders", "fill", *one, *other, lots, by="borrower")

    def step(self, price: int) -> None:
        """One step of the feed: a price that counts after the next one."""
        self.run.go_to(self.run.system.timestamp + 600)
        for i in range(self.run.scenario.parameters.collateral_types[0].feed.reporters):
            self.do("PriceFeed", "report", 0, price * RAY, by=f"reporter_{i + 1}")
        self.do("PriceFeed", "poke", 0, by="borrower")

    @property
    def margin(self) -> MarginView:
        found = self.view.margin
        assert found is not None
        return found

    @property
    def market(self) -> MarginMarket:
        found = self.run.session.model.world.contracts["MarginMarket"]
        assert isinstance(found, MarginMarket)
        return found

    def apply(self, intent: Intent) -> str | None:
        """Why it was refused."""
        return self.run.apply(intent.action).reason

    def work(self, *keepers: Keeper, rounds: int = 200) -> list[str]:
        """Have keepers act until they want nothing; what they called."""
        memories, called = {each.name: Memory() for each in keepers}, []
        for _ in range(rounds):
            wanted = False
            for keeper in keepers:
                for intent in keeper.decide(self.view, memories[keeper.name], 0):
                    assert self.apply(intent) is None
                    called.append(intent.action.method)
                    wanted = True
            if not wanted:
                return called
        raise AssertionError(f"they never end: {called[-5:]}")

    def books(self) -> int:
        """Always zero."""
        tables = self.market.tables
        owed = sum(each.cash for each in tables["margin_book.accounts"].values())
        unpaid = sum(each.unpaid for each in tables["margin_book.interests"].values())
        return int(owed + tables["fees"][()] - tables["held"][()] - unpaid)


def crowd(world: Margin) -> None:
    """Pairs of longs and shorts with leverage of their own, some in both markets."""
    random = Random(1)
    for i in range(PAIRS):
        lots = random.randint(20, 400)
        for side in ("long", "short"):
            world.deposit(f"{side}_{i}", 2 * lots // random.choice((2, 4, 7)) + 10)
        world.trade(f"long_{i}", f"short_{i}", lots)
        if i % 3 == 0:
            world.trade(f"short_{i}", f"long_{i}", 1, GOLD)


@pytest.fixture(scope="module")
def opened() -> Iterator[Margin]:
    made = Margin()
    yield made
    made.close()


@pytest.fixture(scope="module", params=("ranked", "shared"))
def opened_with_crowd(request: pytest.FixtureRequest) -> Iterator[Margin]:
    """With each way to deal a loss out."""
    made = Margin(request.param)
    crowd(made)
    yield made
    made.close()


@pytest.fixture
def world(opened: Margin) -> Iterator[Margin]:
    """Nobody has traded yet. What a test does is taken back."""
    yield from taken_back(opened)


@pytest.fixture
def crowded(opened_with_crowd: Margin) -> Iterator[Margin]:
    """A crowd has; taken back as well."""
    yield from taken_back(opened_with_crowd)


def taken_back(made: Margin) -> Iterator[Margin]:
    paths = {symbol: list(path) for symbol, path in made.run.paths.items()}
    with made.run.session.model.imagine():
        yield made
    for symbol, path in paths.items():
        made.run.paths[symbol][:] = path


# ----------------------------------------------------------------------- the view


def test_the_view_counts_as_the_contracts_do(crowded: Margin) -> None:
    for price in (200, 230, 165):
        crowded.feed(price)
        # And what comes next is known already.
        crowded.step(price - 5)
        margin = crowded.margin
        for owner in TRADERS:
            for kind in (LAST, RISK, LIQUIDATION):
                assert margin.worth(margin.holding(owner), kind) == crowded.market.worth_of("", owner, kind)
        worths = {owner: crowded.market.worth_of("", owner, LIQUIDATION) for owner in TRADERS}
        weak = [o for o, worth in worths.items() if worth.equity * BASIS_POINTS < worth.maintenance]
        assert {each.owner: each.worth for each in margin.weak} == {owner: worths[owner] for owner in weak}
        losses = sorted(-worths[owner].equity for owner in weak if worths[owner].equity < 0)[::-1]
        assert [each.loss for each in margin.insolvent] == losses
    assert weak and losses


def test_the_view_ranks_as_the_deleverager_does(crowded: Margin) -> None:
    crowded.feed(130)
    worst = crowded.margin.insolvent[0].owner
    crowded.do("MarginDeleverager", "begin", worst, ETH, by="borrower")
    deleverager = crowded.run.session.model.world.contracts["MarginDeleverager"]
    assert isinstance(deleverager, Ranking)
    # One account of the other side changes in the freeze, and counts as it was.
    crowded.deposit("short_3", 1_000)
    margin = crowded.margin
    assert margin.frozen == ETH and margin.case == deleverager.case_of("")
    found = {each.owner: each.standing for each in margin.ranking}
    assert found == {
        owner: standing for owner in TRADERS if (standing := deleverager.standing_of("", owner)).lots
    }
    assert len(found) == margin.case.others
    # In that order, and in no other.
    order = tuple(each.owner for each in margin.ranking)
    crowded.do("MarginDeleverager", "submit", order, by="borrower")
    assert crowded.margin.prover == account("borrower")


def test_the_fund_pays_what_the_view_says(crowded: Margin) -> None:
    # A profit of 20 that was withdrawn, fees that wait, insurance beyond its cap.
    for name in ("lucky", "unlucky"):
        crowded.deposit(name, 100)
    crowded.trade("unlucky", "lucky", 200)
    crowded.feed(190)
    crowded.trade("lucky", "unlucky", 200)
    crowded.do("MarginMarket", "withdraw", 120 * WAD, trader("lucky"), by=trader("lucky"))
    crowded.feed(172)
    crowded.work(liquidator(crowded, most=100))
    fees = crowded.market.fees("")
    crowded.feed(110)
    crowded.do("MarginFund", "insure", 40 * WAD, by="market_maker")
    assert fees and crowded.margin.insured == 60 * WAD + fees
    crowded.do("MarginFund", "set_cap", 30, by="admin")
    assert crowded.margin.insured == 50 * WAD
    before = crowded.market.held("")
    crowded.do("MarginDeleverager", "begin", crowded.margin.insolvent[0].owner, ETH, by="borrower")
    assert crowded.market.held("") - before == 50 * WAD - fees
    # The rest of it is for the next bucket of time.
    assert crowded.margin.insured == 0
    crowded.run.go_to(crowded.run.system.timestamp + 86_400)
    assert crowded.margin.insured == 10 * WAD + fees


def test_without_a_price_nobody_is_weak(crowded: Margin) -> None:
    crowded.feed(130)
    assert crowded.margin.weak
    crowded.run.go_to(crowded.run.system.timestamp + 7 * 3_600)
    assert crowded.margin.weak == []


# ------------------------------------------------------------------ liquidations


def liquidator(world: Margin, coins: int = 100_000, **options: Any) -> Keeper:
    """One with money of its own."""
    keeper = world.keeper("margin_liquidator", **options)
    world.do("Stablecoin", "transfer", keeper.address, coins * WAD, by="market_maker")
    world.do("Stablecoin", "approve", world.run.at["MarginMarket"], MAX_UINT256, by=keeper.address)
    return keeper


def test_a_liquidator_deposits_first(world: Margin) -> None:
    keeper = liquidator(world, capital=60_000 * WAD)
    assert world.wants(keeper) == [("deposit", keeper.address, 60_000 * WAD)]
    assert world.work(keeper) == ["deposit"]
    everything = liquidator(world, name="other", coins=10)
    assert world.wants(everything) == [("deposit", everything.address, 10 * WAD)]


def test_a_liquidator_takes_over_all_that_is_to_be_had(crowded: Margin) -> None:
    keeper = liquidator(crowded, most=100)
    crowded.feed(172)
    assert crowded.margin.weak and not crowded.margin.insolvent
    assert crowded.work(keeper)[0] == "deposit"
    assert crowded.margin.weak == []
    assert crowded.margin.holding(keeper.address).sizes and crowded.books() == 0


def test_no_lot_more_could_be_taken_over(crowded: Margin) -> None:
    keeper = liquidator(crowded, most=100)
    crowded.feed(175)
    crowded.apply(keeper.decide(crowded.view, Memory(), 0)[0])
    wanted = keeper.decide(crowded.view, Memory(), 0)
    assert wanted
    partly = 0
    for intent in wanted:
        owner, market, lots = intent.action.args
        whole = abs(crowded.margin.position(owner, market).size)
        more = intent.action._replace(args=(owner, market, lots + 1))
        # Each alone: those before it use up margin.
        assert intent.gain is not None and crowded.run.session.model.foresee(intent.action).ok
        if lots < whole:
            partly += 1
            refused = crowded.run.session.model.foresee(more).reason
            assert refused in ("margin_policy: more than needed", "margin_policy: dust is left")
    assert partly


def test_its_own_margin_limits_a_liquidator(crowded: Margin) -> None:
    keeper = liquidator(crowded, coins=12)
    crowded.feed(172)
    crowded.apply(keeper.decide(crowded.view, Memory(), 0)[0])
    first = keeper.decide(crowded.view, Memory(), 0)[0]
    more = first.action._replace(args=(*first.action.args[:2], first.action.args[2] + 1))
    model = crowded.run.session.model
    assert model.foresee(first.action).ok
    assert model.foresee(more).reason == "margin_market: initial margin"
    crowded.work(keeper)


def test_what_several_takeovers_need_together_is_there(crowded: Margin) -> None:
    keeper = liquidator(crowded, coins=80, most=100)
    crowded.feed(150)
    crowded.apply(keeper.decide(crowded.view, Memory(), 0)[0])
    wanted = keeper.decide(crowded.view, Memory(), 0)
    assert len(wanted) > 1
    assert [crowded.apply(each) for each in wanted] == [None] * len(wanted)


def test_a_liquidator_leaves_alone_whom_it_cannot_take_over(crowded: Margin) -> None:
    crowded.feed(165)
    margin = crowded.margin
    bankrupt, weak = (
        {each.owner for each in margin.weak if bool(each.loss) == lost} for lost in (True, False)
    )
    assert bankrupt and weak
    keeper = liquidator(crowded, most=100)
    crowded.apply(keeper.decide(crowded.view, Memory(), 0)[0])
    wanted = {each.action.args[0] for each in keeper.decide(crowded.view, Memory(), 0)}
    assert wanted and wanted <= weak
    # Nor itself, nor what is another's of its group.
    one = replace(keeper, address=min(wanted))
    assert min(wanted) not in {each.action.args[0] for each in one.decide(crowded.view, Memory(), 0)}
    group = replace(keeper.group, count=2)
    halves = [replace(keeper, group=group, index=i).decide(crowded.view, Memory(), 0) for i in (0, 1)]
    assert sorted(each.action.args[0] for half in halves for each in half) == sorted(wanted)
    # Nor in a market that is frozen.
    crowded.do("MarginDeleverager", "begin", min(bankrupt), ETH, by="borrower")
    assert {each.action.args[1] for each in keeper.decide(crowded.view, Memory(), 0)} <= {GOLD}


def test_a_liquidator_counts_gas_and_its_share(crowded: Margin) -> None:
    keeper = liquidator(crowded, most=100)
    crowded.feed(172)
    crowded.apply(keeper.decide(crowded.view, Memory(), 0)[0])
    gains = [each.gain or 0 for each in keeper.decide(crowded.view, Memory(), 0)]
    assert gains == sorted(gains, reverse=True)
    first = keeper.decide(crowded.view, Memory(), 0)[0]
    before = crowded.market.accounts[keeper.address].cash
    size = crowded.margin.position(*first.action.args[:2]).size
    price = crowded.margin.price(ETH, LIQUIDATION)
    assert price is not None
    crowded.apply(first)
    paid = (1 if size > 0 else -1) * first.action.args[2] * (price - crowded.margin.index(ETH))
    assert crowded.market.accounts[keeper.address].cash - before + paid == first.gain
    greedy = crowded.keeper("margin_liquidator", minimum_profit=10**6 * WAD)
    assert greedy.decide(crowded.view, Memory(), 0) == []
    dear = keeper.decide(crowded.view, Memory(), 10**15)
    assert dear == []


def test_in_an_emergency_nobody_takes_risk() -> None:
    world = Margin(guards=GuardsParameters(breaker=BreakerParameters()))
    for name in ("wide", "narrow"):
        world.deposit(name, 30)
    world.trade("wide", "narrow", 100)
    keeper = liquidator(world)
    world.apply(keeper.decide(world.view, Memory(), 0)[0])
    world.feed(176)
    assert world.wants(keeper) == [("liquidate", trader("wide"), ETH, 100)]
    world.do("CircuitBreaker", "raise_to", 2, by="guardian")
    assert world.wants(keeper) == [] and not world.margin.takes_risk
    world.close()


def test_a_live_liquidator_approves_first(world: Margin) -> None:
    keeper = world.keeper("margin_liquidator")
    assert [each.action.method for each in approvals(keeper, world.view)] == ["approve"]
    assert list(approvals(liquidator(world), world.view)) == []


# ------------------------------------------------------------------ deleveraging


def test_nobody_insolvent_is_left(crowded: Margin) -> None:
    crowded.feed(120)
    keeper = crowded.keeper("deleverager")
    assert crowded.margin.insolvent
    called = crowded.work(keeper)
    assert {"begin", "submit", "execute"} <= set(called)
    assert crowded.margin.insolvent == [] and crowded.margin.frozen is None and crowded.books() == 0


def test_one_of_a_group_sees_a_freeze_through(crowded: Margin) -> None:
    crowded.feed(120)
    keepers = [crowded.keeper("deleverager", f"me_{i + 1}", i, count=2) for i in range(2)]
    crowded.do("MarginDeleverager", "begin", crowded.margin.insolvent[0].owner, ETH, by="borrower")
    assert [len(crowded.wants(each)) for each in keepers] == [0, 1]


def test_the_largest_loss_goes_first(crowded: Margin) -> None:
    crowded.feed(120)
    insolvent = crowded.margin.insolvent
    keeper = crowded.keeper("deleverager")
    # One that freezes the market at a time; those that the fund pays go before.
    assert crowded.wants(keeper) == [("begin", insolvent[0].owner, ETH)]
    crowded.do("MarginFund", "insure", insolvent[0].loss + insolvent[1].loss, by="market_maker")
    owners = [each[1] for each in crowded.wants(keeper)]
    assert owners == [each.owner for each in insolvent[:3]]


def test_a_ranking_comes_in_calls_that_fit(world: Margin) -> None:
    world.deposit("wide", 90)
    for i in range(6):
        world.deposit(f"narrow_{i}", 100)
        world.trade("wide", f"narrow_{i}", 50)
    world.feed(120)
    keeper = world.keeper("deleverager", call_gas=140_000)
    assert world.work(keeper) == ["begin", *["submit"] * 3, *["execute"] * 3]
    assert world.margin.insolvent == [] and world.margin.holding(trader("wide")).sizes == {}


def test_one_goes_on_with_what_another_began(crowded: Margin) -> None:
    crowded.feed(120)
    first, second = (crowded.keeper("deleverager", name, call_gas=100_000) for name in ("first", "second"))
    for method in ("begin", "submit"):
        intents = first.decide(crowded.view, Memory(), 0)
        assert [each.action.method for each in intents] == [method]
        crowded.apply(intents[0])
    # Its ranking is its own; the freeze is everybody's.
    called = crowded.work(second)
    assert called.index("execute") > called.index("submit") and "begin" in called
    assert crowded.margin.insolvent == []


def test_a_ranking_that_left_somebody_out_is_not_gone_on_with(crowded: Margin) -> None:
    crowded.feed(120)
    keeper = crowded.keeper("deleverager")
    crowded.apply(keeper.decide(crowded.view, Memory(), 0)[0])
    second = crowded.margin.ranking[1].owner
    crowded.do("MarginDeleverager", "submit", (second,), by=keeper.address)
    assert crowded.wants(keeper) == []
    # Until the freeze is over: then it begins again.
    crowded.run.go_to(crowded.run.system.timestamp + 3_601)
    assert crowded.margin.frozen is None
    assert crowded.work(keeper)[:2] == ["begin", "submit"]


def test_what_no_gain_pays_is_posted(world: Margin) -> None:
    for name, coins in (("wide", 40), ("narrow", 1_000), ("late", 1_000)):
        world.deposit(name, coins)
    world.trade("wide", "narrow", 100)
    world.feed(100)
    # Who gained has sold to somebody who has not.
    world.trade("narrow", "late", 100)
    keeper = world.keeper("deleverager")
    # Losses of the domain that are announced come first.
    world.do("Perpetuals", "announce_loss", 1, by="admin")
    assert world.work(keeper) == ["begin", "submit", "execute"]
    world.do("Perpetuals", "cancel_loss", by="admin")
    assert world.work(keeper) == ["post_shortfall"]
    assert world.margin.interest(ETH).unpaid == 0 and world.books() == 0
    assert world.view.deficit(len(world.view.symbols)) == 60 * RAD


def test_nothing_is_posted_beyond_the_line(world: Margin) -> None:
    for name, coins in (("wide", 400), ("narrow", 10_000), ("late", 10_000)):
        world.deposit(name, coins)
    world.trade("wide", "narrow", 1_000)
    world.feed(20)
    world.trade("narrow", "late", 1_000)
    keeper = world.keeper("deleverager")
    assert world.work(keeper)[-1] == "post_shortfall"
    # 1,800 less its margin were lost, the line is 1,000.
    assert world.margin.interest(ETH).unpaid == 400 * WAD
    assert world.margin.postable(ETH) == 0 and world.wants(keeper) == []


def test_fees_are_collected(world: Margin) -> None:
    keeper = world.keeper("deleverager")
    world.market.fee_table[()] = 100 * WAD - 1
    assert world.wants(keeper) == []
    world.market.fee_table[()] = 100 * WAD
    assert world.wants(keeper) == [("sweep",)]


def test_gas_of_a_batch(crowded: Margin) -> None:
    crowded.feed(120)
    keeper = crowded.keeper("deleverager")
    crowded.apply(keeper.decide(crowded.view, Memory(), 0)[0])
    submit = keeper.decide(crowded.view, Memory(), 0)[0]
    assert submit.gas is not None
    crowded.apply(submit)
    margin = crowded.margin
    submitted, chosen = len(submit.action.args[0]), margin.run(keeper.address).chosen
    # As many closed as the contract chose.
    costs = {
        False: (submitted - chosen) * measured("margin: submit, each account")
        + chosen * measured("margin: submit, each that closes"),
        True: submitted * measured("margin: share, submit each account"),
    }
    assert submit.gas == measured("margin: submit") + costs[margin.shares]
    execute = keeper.decide(crowded.view, Memory(), 0)[0]
    assert execute.gas is not None and execute.action.args == (chosen,)
    most = "share, execute each that closes" if margin.shares else "execute, each account"
    assert execute.gas == chosen * measured(f"margin: {most}")


def test_ten_thousand_accounts_rank_in_calls_that_fit(world: Margin) -> None:
    price, many = world.margin.price(ETH, LAST), 5_000
    assert price is not None
    # Written into the books, as so many trades would take minutes.
    book = {f"0x{i:040x}": (1 if i % 2 else -1) for i in range(1, 2 * many + 1)}
    for owner, side in book.items():
        margin = 100 * price // (2 + int(owner, 16) % 5)
        world.market.accounts[owner] = Account(margin - side * 100 * price, 1)
        world.market.positions[owner, ETH] = Position(side * 100, side * 100 * price)
    world.market.interests[ETH] = Interest(many, many, many * 100)
    world.feed(165)
    keeper, called = world.keeper("deleverager", most=1), list[Intent]()
    while not called or called[-1].action.method != "execute":
        called += keeper.decide(world.view, Memory(), 0)
        assert world.apply(called[-1]) is None
    submitted = [each for each in called if each.action.method == "submit"]
    assert [each.action.method for each in called] == ["begin", *["submit"] * 9, "execute"]
    assert sum(len(each.action.args[0]) for each in submitted) == many
    assert all(each.gas is not None and each.gas <= keeper.group.call_gas for each in submitted)
    assert world.margin.frozen is None


def test_keepers_of_a_scenario_work_a_crash_off() -> None:
    paid = GasPolicy(factor=15_000)
    keepers = (
        *(each for each in load_scenario(SMALL).keepers if each.role in ("reporter", "poker")),
        KeeperGroup("desk", "margin_liquidator", 2, paid, capital=5_000 * WAD),
        KeeperGroup("closer", "deleverager", 1, paid),
    )
    world = Margin(keepers=keepers, duration=3 * 3_600)
    crowd(world)
    world.run.run_blocks(lambda *_: None, lambda: False)
    states = {state.keeper.name: state for state in world.run.keepers}
    done = {action[3] for action in world.run.recorder.tables["actions"] if action[7]}
    assert {"liquidate", "begin", "submit", "execute"} <= done
    assert world.margin.insolvent == [] and world.margin.frozen is None and world.books() == 0
    assert states["closer"].included and states["closer"].gas_cost
    # What a liquidator has is in its margin account.
    desk = states["desk_1"].keeper.address
    assert worth(world.run, desk) == world.run.stablecoins(desk) + world.margin.equity(desk) > 0
    world.close()


# ---------------------------------------------------------------------- matching


class Desk:
    """A file of orders, and the matcher that reads it."""

    def __init__(self, world: Margin, path: Path) -> None:
        self.world, self.path, self.said = world, path, list[str]()
        model = world.run.session.model.world
        file = OrderFile(path, model.chain_id, world.run.at["MarginOrders"], self.said.append)
        group = world.keeper("matcher", most=100).group
        self.keeper = Keeper("matcher", account("matcher"), group, 0, orders=file)
        self.memory = Memory()

    def add(self, name: str, size: int, coins: int, **more: int) -> Order:
        """So many stablecoins for a whole ether."""
        order, signature = self.world.signed(name, size, coins * WAD // 100, **more)
        self.write(order_line(order, signature) + "\n")
        return order

    def write(self, text: str) -> None:
        with self.path.open("a") as file:
            file.write(text)

    def wants(self) -> list[tuple[str, str, int, int]]:
        """Maker, taker, lots, the price in stablecoins for an ether."""
        found = []
        for intent in self.keeper.decide(self.world.view, self.memory, 0):
            maker, _, taker, _, lots = intent.action.args
            found.append((maker.account, taker.account, lots, maker.price * 100 // WAD))
        return found

    def match(self) -> list[str | None]:
        """Have all done; why what was refused was."""
        found = []
        for intent in self.keeper.decide(self.world.view, self.memory, 0):
            found.append(self.world.apply(intent))
            self.memory.note(intent.about, found[-1] is None, self.world.view.timestamp)
        return found


@pytest.fixture
def desk(world: Margin, tmp_path: Path) -> Desk:
    for name in ("ann", "bob", "cleo", "dan"):
        world.deposit(name, 100)
    return Desk(world, tmp_path / "orders.jsonl")


def test_the_best_price_is_matched_first_then_the_older(desk: Desk) -> None:
    ann, bob, cleo, dan = map(trader, ("ann", "bob", "cleo", "dan"))
    desk.add("ann", -10, 201)
    desk.add("bob", -10, 200)
    desk.add("cleo", -10, 200)
    assert desk.wants() == []
    desk.add("dan", 25, 201)
    # At the maker's limit; the last one gets a part.
    assert desk.wants() == [(bob, dan, 10, 200), (cleo, dan, 10, 200), (ann, dan, 5, 201)]
    assert desk.match() == [None, None, None] and desk.wants() == []
    # The rest of the oldest waits for its price: who pays most gets it.
    desk.add("bob", 10, 200)
    assert desk.wants() == []
    desk.add("bob", 3, 204)
    desk.add("cleo", 3, 205)
    assert desk.wants() == [(ann, cleo, 3, 201), (ann, bob, 2, 201)]


def test_the_maker_is_who_signed_first_whatever_comes_first(desk: Desk) -> None:
    """An order may reach the matcher late; two of one time have no price but one that both name."""
    ann, bob, cleo = map(trader, ("ann", "bob", "cleo"))
    desk.add("ann", -10, 200, nonce=9)
    desk.add("bob", 10, 202, nonce=8)
    assert desk.wants() == [(bob, ann, 10, 202)]
    assert desk.match() == [None]
    desk.add("ann", -10, 200, nonce=11)
    desk.add("bob", 10, 201, nonce=11)
    assert desk.wants() == []
    desk.add("cleo", 10, 200, nonce=11)
    assert desk.wants() == [(ann, cleo, 10, 200)]
    assert desk.match() == [None]


def test_void_orders_are_not_matched(desk: Desk) -> None:
    world = desk.world
    soon = world.view.timestamp + 10
    desk.add("ann", 10, 200, expiry=soon)
    low, high = desk.add("bob", 10, 200, nonce=10_000), desk.add("bob", 11, 200, nonce=10_001)
    desk.add("cleo", -30, 200)
    assert [lots for _, _, lots, _ in desk.wants()] == [10, 10, 10]
    world.do("MarginOrders", "cancel", low, by=trader("bob"))
    assert [lots for _, _, lots, _ in desk.wants()] == [10, 11]
    world.do("MarginOrders", "raise_nonce", high.nonce + 1, by=trader("bob"))
    assert [lots for _, _, lots, _ in desk.wants()] == [10]
    world.run.go_to(soon + 1)
    assert desk.wants() == []


def test_one_account_does_not_trade_with_itself(desk: Desk) -> None:
    desk.add("ann", 10, 200)
    desk.add("ann", -10, 200)
    assert desk.wants() == []
    desk.add("bob", -10, 200)
    assert [lots for _, _, lots, _ in desk.wants()] == [10]


def test_an_order_that_only_reduces_is_matched_as_far_as_it_does(desk: Desk) -> None:
    desk.world.trade("ann", "bob", 10)
    desk.add("ann", -30, 200, reduce_only=True)
    # These two would not: one has nothing, the other would have more.
    desk.add("cleo", -30, 200, reduce_only=True)
    desk.add("bob", -30, 200, reduce_only=True)
    desk.add("dan", 25, 200)
    assert desk.wants() == [(trader("ann"), trader("dan"), 10, 200)]
    assert desk.match() == [None] and desk.wants() == []


def test_a_refused_pair_stops_nobody_else(desk: Desk) -> None:
    desk.add("poor", -10, 199)
    desk.add("ann", -10, 200)
    desk.add("bob", 10, 200)
    assert desk.match() == ["margin_market: initial margin"]
    assert desk.wants() == [(trader("ann"), trader("bob"), 10, 200)]


def test_what_is_sent_is_not_sent_again(desk: Desk) -> None:
    desk.add("ann", -20, 200)
    desk.add("bob", 10, 200)
    desk.memory.under_way = {desk.keeper.decide(desk.world.view, desk.memory, 0)[0].about}
    # What the first has left is known once that is mined.
    desk.add("cleo", 10, 200)
    assert desk.wants() == []
    desk.memory.under_way = set()
    assert len(desk.wants()) == 2


def test_a_line_that_is_no_order_is_told_once(desk: Desk) -> None:
    assert desk.wants() == [] and desk.wants() == []
    assert desk.said == [f"there are no orders in {desk.path} yet: No such file or directory"]
    desk.said.clear()
    order, signature = desk.world.signed("ann", 10, 2 * WAD)
    good = json.loads(order_line(order, signature))
    wrong = {
        "it is no JSON object": "rubbish",
        "this program reads schema_version 1": good | {"schema_version": 2},
        "an order has the fields": {k: v for k, v in good.items() if k != "nonce"},
        "see 'more'": good | {"more": 1},
        "'market' is the number of a market": good | {"market": "0"},
        "'size' is a whole number in quotes": good | {"size": 10},
        "'size' is no lots": good | {"size": "0"},
        "'price' is too large": good | {"price": str(2**96)},
        "'price' is zero": good | {"price": "0"},
        "'expiry' is a whole number in quotes": good | {"expiry": "-1"},
        "'reduce_only' is true or false": good | {"reduce_only": 0},
        "'account' is 20 bytes in hex": good | {"account": "ann"},
        "'signature' is 65 bytes in hex": good | {"signature": "0x00"},
        "has not signed it for": good | {"price": "1"},
    }
    for content in wrong.values():
        desk.write((content if isinstance(content, str) else json.dumps(content)) + "\n")
    desk.add("bob", 10, 200)
    desk.add("cleo", -10, 200)
    assert len(desk.wants()) == 1 and len(desk.wants()) == 1
    assert len(desk.said) == len(wrong)
    for i, (said, problem) in enumerate(zip(desk.said, wrong, strict=True)):
        assert said.startswith(f"{desk.path}:{i + 1}: ") and problem in said


def test_an_order_keeps_its_age(desk: Desk) -> None:
    desk.add("ann", -10, 200)
    line = desk.path.read_text()
    desk.add("bob", -10, 200)
    desk.write(line)
    desk.add("dan", 10, 200)
    assert desk.wants() == [(trader("ann"), trader("dan"), 10, 200)]


def test_another_form_of_a_signature_is_none(desk: Desk) -> None:
    order, _ = desk.world.signed("ann", 10, 2 * WAD)
    world = desk.world.run.session.model.world
    digest = order_digest(order, world.chain_id, desk.world.run.at["MarginOrders"])
    desk.write(order_line(order, sign_digest(key_of("ann"), digest, low=False)) + "\n")
    assert desk.wants() == [] and "has not signed it" in desk.said[0]


def test_a_line_counts_once_it_is_whole_and_once_only(desk: Desk) -> None:
    desk.add("ann", -10, 200)
    order, signature = desk.world.signed("bob", 10, 2 * WAD)
    line = order_line(order, signature) + "\n"
    desk.write(line[:100])
    assert desk.wants() == [] and desk.said == []
    desk.write(line[100:] + line)
    assert len(desk.wants()) == 1
    assert desk.match() == [None]
    # A file that was begun anew is read anew.
    desk.path.write_text("")
    assert desk.wants() == []
    desk.add("cleo", -10, 200)
    desk.add("dan", 10, 200)
    assert len(desk.wants()) == 1 and desk.said == []


def test_nobody_wants_anything_without_a_market() -> None:
    plain = World()
    keepers = [plain.keeper(role) for role in ("margin_liquidator", "deleverager", "matcher")]
    assert [plain.wants(each) for each in keepers] == [[], [], []]
    plain.close()
