"""The index's answers against the model's own word for each vault."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backstop.deployment.configuration_calls import apply_configuration
from backstop.deployment.model_and_chain_deployment import create_model
from backstop.deployment.planned_contracts import plan_deployment
from backstop.deployment.role_accounts import get_account
from backstop.live.index import (
    BlockChanges,
    DetachedBlockError,
    MarginCalled,
    PricingConditions,
    VaultChanged,
    VaultIndex,
    pick_vault_changes,
)
from backstop.live.index.collateral_type_vaults import VaultRecord
from backstop.model.arithmetic import RAY, WAD
from backstop.model.interfaces import CallTerms, Prices
from backstop.model.risk_policy import Terms
from backstop.system import Action
from tests.support.guard_steps import with_guards

DEPLOYMENT = plan_deployment(with_guards())
OWNERS = [get_account(name) for name in ("borrower", "taker", "saver")]
TYPES = range(2)
SAFE = {"liquidation_engine: safe vault", "liquidation_engine: no price"}
NOT_CALLABLE = {
    "liquidation_engine: margin met",
    "liquidation_engine: call runs",
    "liquidation_engine: no price now",
}


class Market:
    """A guarded deployment of the model, with an index that hears its events, a block an action."""

    def __init__(self) -> None:
        self.model = create_model(DEPLOYMENT)
        apply_configuration(self.model, DEPLOYMENT)
        self.tables = {name: contract.tables for name, contract in self.model.world.contracts.items()}
        self.index = VaultIndex(0, "0")
        self.blocks: list[BlockChanges] = []
        self.records: list[dict[tuple[int, str], VaultRecord]] = [self.chain()]
        for c in TYPES:
            self.price(c, 2_000 * RAY)
            for owner in OWNERS:
                symbol = DEPLOYMENT.parameters.collateral_types[c].symbol
                self.do(symbol, "mint", owner, 10**9 * WAD, sender=owner)
                self.do(symbol, "approve", self.address("VaultEngine"), 2**256 - 1, sender=owner)

    def address(self, name: str) -> str:
        return self.model.addresses[name]

    def do(self, contract: str, method: str, *args: Any, sender: str = get_account("admin")) -> bool:
        outcome = self.model.apply(Action(contract, method, args, sender))
        if outcome.ok:
            self.take(
                BlockChanges(
                    len(self.blocks) + 1,
                    str(len(self.blocks) + 1),
                    str(len(self.blocks)),
                    pick_vault_changes(outcome.logs),
                )
            )
            self.records.append(self.chain())
        return outcome.ok

    def take(self, block: BlockChanges) -> None:
        self.index.apply(block)
        self.blocks.append(block)

    def chain(self) -> dict[tuple[int, str], VaultRecord]:
        return {
            (c, owner): VaultRecord(*self.model.view("VaultEngine", "vault", c, owner)[:3])
            for c in TYPES
            for owner in OWNERS
        }

    def confirm(self, records: dict[tuple[int, str], VaultRecord]) -> None:
        for c, owner in self.index.list_vaults_with_unconfirmed_calls():
            self.index.set_confirmed_call_time(c, owner, records[c, owner].called_at)

    def price(self, c: int, price: int) -> None:
        fresh_until = self.model.timestamp + 10 * 365 * 86_400 if price else 0
        self.tables["PriceFeed"]["prices"][c] = Prices(price, price, fresh_until)

    def conditions(self, c: int) -> PricingConditions:
        ask, rate = self.model.view, Action("VaultEngine", "accrue", (c,), OWNERS[0])
        terms, calls = ask("VaultEngine", "terms_of", c), ask("RiskPolicy", "call_terms", c)
        return PricingConditions(
            ask("PriceFeed", "liquidation_price", c),
            self.model.dry_run(rate).value,
            self.model.timestamp,
            terms.liquidation_ratio,
            self.tables["RiskPolicy"]["terms"][c],
            calls._replace(ratio=min(calls.ratio, terms.initial_ratio)),  # no higher one is believed
        )

    def would(self, method: str, c: int, owner: str, *more: str) -> str | None:
        return self.model.dry_run(Action("LiquidationEngine", method, (c, owner, *more), OWNERS[0])).reason

    def check(self) -> None:
        """Compare every answer of the index with the contracts' model."""
        self.confirm(self.records[-1])
        for (c, owner), record in self.records[-1].items():
            assert self.index.get_vault(c, owner) == record
        for c in TYPES:
            at = self.conditions(c)
            unsafe = self.index.find_unsafe(c, at)
            liquidatable = {owner for owner in OWNERS if self.would("liquidate", c, owner, owner) not in SAFE}
            assert {vault.owner for vault in unsafe} == liquidatable
            assert len(unsafe) == len(liquidatable)
            for vault in unsafe:
                assert vault[1:] == (
                    *self.index.get_vault(c, vault.owner)[:2],
                    vault.normalized_debt * at.rate,
                    self.index.get_vault(c, vault.owner).called_at,
                )
            may_be_called = [owner for owner in OWNERS if self.would("call", c, owner) not in NOT_CALLABLE]
            if at.calls.ratio:
                assert sorted(vault.owner for vault in self.index.find_callable(c, at)) == sorted(
                    may_be_called
                )
            running = {call.owner: call.called_at for call in self.index.list_calls(c, at)}
            for owner in OWNERS:
                if self.would("call", c, owner) == "liquidation_engine: call runs":
                    assert running[owner] == self.records[-1][c, owner].called_at
            debts = self.model.view("VaultEngine", "debts_of", c)
            assert self.index.get_normalized_debt(c) == debts.normalized_debt


who = st.tuples(st.sampled_from(TYPES), st.sampled_from(OWNERS))
c_of = st.sampled_from(TYPES)
collateral = st.integers(0, 300).map(lambda tokens: tokens * WAD)
coins = st.integers(0, 300_000).map(lambda whole: whole * WAD)
bracket = st.tuples(st.integers(0, 2_000_000), st.integers(0, 2_000))
CALLING = [
    st.tuples(st.just("price"), c_of, st.integers(1_300, 1_800).map(lambda n: n * RAY)),
    st.tuples(st.just("call"), who, st.integers(-1, 1)),
    st.tuples(st.just("time"), st.sampled_from((60, 3_600))),
    st.tuples(st.just("draw"), who, collateral, st.just(0)),
]
MOVES = st.one_of(
    *CALLING,
    *CALLING,
    st.tuples(st.just("draw"), who, collateral, coins),
    st.tuples(st.just("repay"), who, collateral, coins),
    st.tuples(st.just("price"), c_of, st.integers(500, 3_000).map(lambda n: n * RAY)),
    st.tuples(st.just("price"), c_of, st.just(0)),
    st.tuples(st.just("time"), st.just(30 * 86_400)),
    st.tuples(st.just("brackets"), c_of, bracket, bracket),
    st.tuples(st.just("ratios"), c_of, st.integers(10_000, 14_000), st.integers(0, 4_000)),
    st.tuples(st.just("calls"), c_of, st.integers(10_000, 15_000), st.integers(60, 90_000)),
    st.tuples(st.just("liquidate"), who),
    st.tuples(st.just("reorganise"), st.integers(1, 8)),
)


def play(market: Market, move: tuple[Any, ...]) -> None:
    kind, *rest = move
    c, owner = rest[0] if rest and isinstance(rest[0], tuple) else (rest[0] if rest else 0, "")
    if kind == "draw":
        market.do("VaultEngine", "deposit_and_draw", c, owner, *rest[1:], owner, sender=owner)
    elif kind == "repay":
        withdraw, repay = rest[1:]
        market.do("VaultEngine", "repay_and_withdraw", c, owner, repay, withdraw, owner, sender=owner)
    elif kind == "price":
        market.price(c, rest[1])
    elif kind == "time":
        market.model.advance(rest[0])
    elif kind == "brackets":
        market.do("RiskPolicy", "set_brackets", c, tuple(rest[1:]), ((0, 0), (0, 0)))
    elif kind == "ratios":
        market.do("VaultEngine", "set_ratios", c, rest[1], rest[1] + rest[2])
    elif kind == "calls":
        market.do("RiskPolicy", "set_call_terms", c, rest[1], rest[2], 7_200)
    elif kind == "liquidate":
        market.do("LiquidationEngine", "liquidate", c, owner, owner)
    elif kind == "call":
        market.do("LiquidationEngine", "call", c, owner)
        market.check()
        # Around the first second of liquidation.
        market.model.advance(max(0, market.model.view("RiskPolicy", "call_terms", c).grace + rest[1]))
    else:
        reorganise(market, rest[0])


def skim(market: Market, c: int, owner: str) -> None:
    """All that settlement does to a vault; with debt it gives all its collateral, for nothing."""
    if not market.model.view("VaultEngine", "in_settlement"):
        market.do("VaultEngine", "begin_settlement", sender=market.address("Settlement"))
    record = market.chain()[c, owner]
    taken = record.locked if record.normalized_debt else 0
    done = market.do("VaultEngine", "skim", c, owner, taken, 0, sender=market.address("Settlement"))
    assert done == (market.model.view("VaultEngine", "vault", c, owner).open_lots == 0)


def reorganise(market: Market, depth: int) -> None:
    """Back some blocks and forward again; half-way the index is where it was then."""
    depth = min(depth, len(market.blocks))
    for _ in range(depth):
        assert market.index.roll_back_last_block()
    then = market.records[len(market.blocks) - depth]
    market.confirm(then)
    assert {key: market.index.get_vault(*key) for key in then} == then
    for block in market.blocks[len(market.blocks) - depth :]:
        market.index.apply(block)


@settings(max_examples=100)
@given(st.lists(MOVES, min_size=20, max_size=40), st.booleans(), st.lists(who, max_size=6))
def test_answers_are_what_the_contracts_would_do(
    moves: list[tuple[Any, ...]], often: bool, skimmed: list[tuple[int, str]]
) -> None:
    market = Market()
    for c in TYPES:
        market.do("VaultEngine", "set_ratios", c, 11_000, 15_000)
        market.do("RiskPolicy", "set_call_terms", c, 13_000, 3_600, 86_400)
        for owner in OWNERS:
            opening = c, owner, 1_000 * WAD, 1_300_000 * WAD, owner
            assert market.do("VaultEngine", "deposit_and_draw", *opening, sender=owner)
    for move in moves:
        play(market, move)
        if often:
            market.check()
    market.check()
    for c, owner in skimmed:
        skim(market, c, owner)
        market.check()


vaults = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 2**104 - 1), st.integers(0, 10**24)),
        st.one_of(st.integers(0, 2**104 - 1), st.integers(1, 10**26)),
        st.integers(0, 2**32 - 1) | st.just(0),
    ),
    max_size=60,
)
conditions = st.builds(
    PricingConditions,
    st.one_of(st.integers(1, 2**112 - 1), st.integers(RAY // 100, 10**6 * RAY)),
    st.one_of(st.integers(RAY, 2**104 - 1), st.integers(RAY, 3 * RAY)),
    st.integers(0, 2**32 - 1),
    st.integers(10_000, 60_000),
    st.builds(
        Terms, st.integers(0, 10**9), st.integers(0, 5_000), st.integers(0, 10**7), st.integers(0, 5_000)
    ),
    st.builds(CallTerms, st.integers(0, 60_000), st.integers(60, 10**6), st.integers(60, 10**6)),
)


@pytest.mark.deep(
    brief="tests/backstop/live/index/test_index.py::test_answers_are_what_the_contracts_would_do"
)
@settings(max_examples=300)
@given(vaults, conditions, st.booleans(), st.data())
def test_answers_are_those_of_a_scan_at_any_size(
    rows: list[tuple[int, int, int]], at: PricingConditions, sorted_first: bool, data: st.DataObject
) -> None:
    """The rule of the model's LiquidationEngine, vault by vault; margins at the limit to the wei."""
    market = create_model(DEPLOYMENT)
    engine: Any = market.world.contracts["LiquidationEngine"]
    market.world.contracts["RiskPolicy"].tables["terms"][0] = at.policy
    index = VaultIndex(0, "")
    if sorted_first:  # the order exists, and every vault is put where it belongs
        index.find_unsafe(0, at)
    expected, scan = {}, {}
    for number, (locked, debt, called_at) in enumerate(rows):
        if debt and data.draw(st.booleans()):
            # As much collateral as is required, or a wei less.
            required = at.compute_required_worth(debt * at.rate, at.liquidation_ratio)
            least = -(-required // (at.price * 10_000))
            locked = min(2**104 - 1, max(0, least - data.draw(st.integers(0, 1))))
        owner = f"0x{number:040x}"
        expected[owner] = VaultRecord(locked, debt, called_at)
        changed = VaultChanged(0, bytes.fromhex(owner[2:]), locked, debt)
        # One touch, or two of which the last changes only one of the fields.
        halved = changed._replace(locked=locked // 2), changed._replace(normalized_debt=debt // 2)
        changes = [data.draw(st.sampled_from((changed, *halved))), changed]
        index.apply(BlockChanges(number + 1, str(number + 1), index.hash, changes))
        index.set_confirmed_call_time(0, owner, called_at)
    for owner, (locked, debt, called_at) in expected.items():
        owed = debt * at.rate
        scan[owner] = not engine._has_ratio(0, locked, at.price, owed, at.liquidation_ratio)
        due = called_at + at.calls.grace
        if called_at and due <= at.timestamp <= due + at.calls.valid and at.calls.ratio:
            scan[owner] |= not engine._has_ratio(0, locked, at.price, owed, at.calls.ratio)
    assert {vault.owner for vault in index.find_unsafe(0, at)} == {
        owner for owner, is_unsafe in scan.items() if is_unsafe
    }


def test_nobody_is_unsafe_without_a_price() -> None:
    index = VaultIndex(0, "")
    index.apply(BlockChanges(1, "a", "", [VaultChanged(0, bytes(20), 0, WAD)]))
    assert index.find_unsafe(0, PricingConditions(RAY, RAY, 0, 10_000))
    assert not index.find_unsafe(0, PricingConditions(0, RAY, 0, 10_000))
    assert not index.find_callable(0, PricingConditions(0, RAY, 0, 10_000, calls=CallTerms(15_000)))
    assert not index.find_unsafe(1, PricingConditions(RAY, RAY, 0, 10_000))


def test_blocks_come_in_order_and_go_back_as_far_as_they_are_known() -> None:
    index = VaultIndex(10, "ten", depth=2)
    with pytest.raises(DetachedBlockError, match="block 12 does not follow block 10"):
        index.apply(BlockChanges(12, "twelve", "eleven", []))
    for number in range(11, 14):
        index.apply(
            BlockChanges(number, str(number), index.hash, [VaultChanged(0, bytes(20), number, number)])
        )
    assert index.roll_back_last_block() and index.roll_back_last_block()
    assert (index.number, index.get_vault(0, "0x" + "00" * 20)) == (11, VaultRecord(11, 11))
    assert not index.roll_back_last_block()
    index.apply(BlockChanges(19, "19", index.hash, []))
    index.apply(BlockChanges(20, "20", index.hash, [VaultChanged(0, bytes(20), 20, 20)]), final=True)
    assert not index.roll_back_last_block()
    assert index.get_vault(0, "0x" + "11" * 20) == VaultRecord()


def test_a_call_is_in_doubt_until_it_is_confirmed() -> None:
    owner = "0x" + "00" * 20
    index = VaultIndex(0, "0")
    touched = VaultChanged(0, bytes(20), WAD, WAD)
    index.apply(BlockChanges(1, "1", "0", [touched]))
    assert index.list_vaults_with_unconfirmed_calls() == []
    index.apply(BlockChanges(2, "2", "1", [touched, MarginCalled(0, bytes(20), 500)]))
    assert index.list_vaults_with_unconfirmed_calls() == [(0, owner)]
    index.set_confirmed_call_time(0, owner, 400)
    assert (index.list_vaults_with_unconfirmed_calls(), index.get_vault(0, owner).called_at) == ([], 400)
    # Met by a touch, as the chain says when it is asked; before the touch the call stood.
    index.apply(BlockChanges(3, "3", "2", [touched]))
    assert index.list_vaults_with_unconfirmed_calls() == [(0, owner)]
    index.set_confirmed_call_time(0, owner, 0)
    assert (index.list_vaults_with_unconfirmed_calls(), index.get_vault(0, owner).called_at) == ([], 0)
    index.roll_back_last_block()
    assert index.list_vaults_with_unconfirmed_calls() == [(0, owner)]
    index.set_confirmed_call_time(0, owner, 400)
    index.roll_back_last_block()
    assert (index.list_vaults_with_unconfirmed_calls(), index.get_vault(0, owner).called_at) == ([], 0)
