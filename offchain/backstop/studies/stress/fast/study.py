"""A scenario as the kernel's tables: what all paths share, and the world of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from backstop.deployment import CollateralParameters, FeedParameters, PolicyParameters, account
from backstop.errors import BackstopError
from backstop.keepers.costs import gas_needed
from backstop.keepers.group import GasPolicy, KeeperGroup, Series
from backstop.model.arithmetic import BASIS_POINTS, RAD, RAY, WAD, rpow
from backstop.randomness import Dice
from backstop.simulation.scenario import Scenario, vault_book
from backstop.simulation.scenario.drawn import Draw, Prices, draw, with_depths
from backstop.studies.stress.fast.tables import (
    ACCRUER,
    BIDDER,
    BUFFER,
    COVERER,
    CRANK,
    EMPTY,
    EXIT,
    GROUP,
    LIQUIDATOR,
    POKER,
    POOL,
    REDISTRIBUTION,
    REPORTER,
    RESERVE,
    SETTING,
    STAGE,
    TAKER,
    TERMS,
    VAULT,
    Bytes,
    Floats,
    Integers,
    Table,
    World,
)

WEI = 1e-18

ROLES = {
    "reporter": REPORTER,
    "poker": POKER,
    "liquidator": LIQUIDATOR,
    "flash_taker": TAKER,
    "bidder": BIDDER,
    "crank": CRANK,
    "coverer": COVERER,
    "accruer": ACCRUER,
}
_IDLE = ("recogniser", "ceilings", "breaker", "caller", "owners", "debtor", "settler", "member")
"""Roles that change nothing here: there are no guards, and marks and settlement are left out."""

_KINDS = {"buffer": BUFFER, "reserve": RESERVE, "clawback": EMPTY, "redistribution": REDISTRIBUTION}
_POOLS = ("junior", "senior", "savings")

_GAS = [
    gas_needed(*job)
    for job in (
        ("PriceFeed", "report"),
        ("PriceFeed", "poke"),
        ("LiquidationEngine", "liquidate"),
        ("FlashTaker", "take_and_sell"),
        ("CollateralAuction", "take"),
        ("CollateralAuction", "close"),
        ("LossWaterfall", "cover"),
        ("VaultEngine", "accrue"),
        ("CollateralAuction", "reset"),
    )
]
"""By role."""


@dataclass(frozen=True)
class Study:
    """What all paths of a scenario share."""

    scenario: Scenario
    seed: int
    setting: Table
    gas: Floats
    terms: Table
    vaults: Table
    groups: Table
    mine: Bytes  # [row of a group of liquidators, v]: which of its keepers looks after a vault
    stages: Table
    noise: Floats  # [c, reporter, t]: what a reporter sees over what there is
    shared: World | None = None  # bids, gas and the order of inclusion, where no path has its own

    @classmethod
    def of(cls, scenario: Scenario, seed: int) -> Study:
        """Raises BackstopError for what the fast engine does not know."""
        _refuse(scenario)
        scenario = with_depths(scenario, seed)
        types = {symbol: c for c, symbol in enumerate(scenario.symbols)}
        opening = {symbol: path.points[0] for symbol, path in scenario.prices.items()}
        book = vault_book(scenario, seed, opening)
        return cls.of_vaults(
            scenario,
            seed,
            np.array([types[vault.symbol] for vault in book], dtype=np.int64),
            np.array([vault.locked / WAD for vault in book]),
            np.array([vault.debt / WAD for vault in book]),
            [int(account(vault.owner), 16) for vault in book],
        )

    @classmethod
    def of_vaults(
        cls,
        scenario: Scenario,
        seed: int,
        types: Integers,
        locked: Floats,
        debt: Floats,
        owners: Sequence[int],
    ) -> Study:
        """With vaults in place of the scenario's book: types, coins, stablecoins drawn, addresses."""
        terms = _terms(scenario)
        listed = scenario.parameters.collateral_types
        growth = np.array([rpow(RAY + each.stability_fee, scenario.opened_before) / RAY for each in listed])
        vaults = np.zeros(len(debt), dtype=VAULT)
        vaults["opening_debt"], vaults["opening_locked"] = debt * growth[types], locked
        worth = terms["ratio"][types] * vaults["opening_debt"]
        vaults["opening_trigger"] = np.where(debt > 0, worth / np.maximum(locked, WEI), 0)
        order = np.lexsort((-vaults["opening_trigger"], types))
        vaults, types = vaults[order], types[order]
        for name in ("debt", "locked", "trigger"):
            vaults[name] = vaults[f"opening_{name}"]
        bounds = np.searchsorted(types, np.arange(len(listed) + 1))
        terms["first"], terms["last"] = bounds[:-1], bounds[1:]
        terms["art"] = np.bincount(types, vaults["debt"], len(listed))
        terms["locked"] = np.bincount(types, vaults["locked"], len(listed))
        # Fees were charged when the feed stepped last before the start.
        later = np.array([rpow(RAY + each.stability_fee, _first_step(scenario)) / RAY for each in listed])
        terms["fees"] = terms["art"] * (1 - 1 / later)
        fees = terms["art"] * (1 / later - 1 / growth)
        terms["buffer"] = fees * terms["buffer_share"]
        _check_fit(scenario, terms["art"] / growth)
        setting = _setting(scenario, float(debt.sum()), float((fees - terms["buffer"]).sum()))
        groups, mine = _groups(scenario, [owners[i] for i in order.tolist()])
        gas = np.array(_GAS, dtype=np.float64)
        stages, noise = _stages(scenario), _noise(scenario, seed)
        study = cls(scenario, seed, setting, gas, terms, vaults, groups, mine, stages, noise)
        if scenario.spike is None and all(group.fails is None for group in scenario.keepers):
            study = replace(study, shared=study.world(draw(scenario, seed, 0)))
        return study

    def world(self, chosen: Draw) -> World:
        """What happens on one path."""
        scenario, symbols = self.scenario, self.scenario.symbols
        prices = np.array([_floats(chosen.prices[symbol]) for symbol in symbols])
        sources = prices
        if chosen.sources:
            seen = (chosen.sources.get(symbol, chosen.prices[symbol]) for symbol in symbols)
            sources = np.array([_floats(each) for each in seen])
        exits = self._exits(chosen)
        if self.shared is not None:
            return self.shared._replace(prices=prices, sources=sources, exits=exits)
        times = np.arange(scenario.blocks + 1) * scenario.block_time
        playing = _playing(scenario)
        clearing = _at(chosen.gas_prices, times) * WEI
        capacity = _at(chosen.gas_share, times) * (scenario.block_gas / BASIS_POINTS)
        bids = _bids([group.gas for group in playing], chosen.gas_prices, times) * WEI
        up = np.ones(bids.shape, dtype=np.uint8)
        for g, group in enumerate(playing):
            for outage in chosen.outages[group.name]:
                up[g, (times >= outage.start) & (times < outage.end)] = 0
        # Included in block t is what was bid in the block before.
        order = np.zeros((len(times), len(playing)), dtype=np.int64)
        order[1:] = np.argsort(-bids[:, :-1].T, axis=1, kind="stable")
        return World(prices, sources, clearing, capacity, bids, up, order, exits)

    def _exits(self, chosen: Draw) -> Table:
        """Members that run leave once their request has matured."""
        names = [stage.name for stage in self.scenario.parameters.stages]
        leaving = sorted(
            (chosen.runs[group.name], names.index(group.pool), group.capital * group.count / WAD)
            for group in self.scenario.keepers
            if group.name in chosen.runs and group.pool in _POOLS and group.pool in names
        )
        exits = np.zeros(len(leaving), dtype=EXIT)
        left = self.stages["opening"].copy()
        for i, (begun, k, amount) in enumerate(leaving):
            pool = getattr(self.scenario.parameters, names[k])
            exits[i] = (begun + pool.cooldown + 2 * self.scenario.block_time, amount / left[k], k)
            left[k] -= amount
        return exits


def _refuse(scenario: Scenario) -> None:
    """What would be wrong in silence is refused; docs/do/stress.md lists what is only approximate."""
    parameters = scenario.parameters
    for group in scenario.keepers:
        if group.role not in ROLES and group.role not in _IDLE and group.role not in _OF_EQUITY:
            _no(f"keepers of the role {group.role}")
    if parameters.guards is not None:
        _no("guards")
    if parameters.equity is not None:
        _no("equity")
    if parameters.margin is not None:
        _no("margin markets")
    if parameters.domains:
        _no("domains")
    if scenario.opening is not None:
        _no("states that a run begins with")
    if scenario.opened_at:
        _no("books that are opened at other prices")
    for collateral in parameters.collateral_types:
        if collateral.policy != PolicyParameters():
            _no(f"the policy of {collateral.symbol}")
        if collateral.feed != _unguarded(collateral.feed):
            _no(f"guards of the feed of {collateral.symbol}")


_OF_EQUITY = ("recap_bidder", "surplus_bidder", "treasurer")


def _no(what: str) -> None:
    raise BackstopError(f"the fast engine does not know {what}: take the exact one")


def _check_fit(scenario: Scenario, drawn: Floats) -> None:
    """What the contracts would refuse when the book is opened."""
    for each, amount in zip(scenario.parameters.collateral_types, drawn.tolist(), strict=True):
        if amount > each.debt_ceiling:
            ceiling = f"{each.debt_ceiling:,}"
            _unfit(f"its {each.symbol} vaults draw {amount:,.0f} stablecoins, their ceiling is {ceiling}")
    total, highest = float(drawn.sum()), scenario.parameters.global_debt_ceiling
    if total > highest:
        _unfit(f"its vaults draw {total:,.0f} stablecoins, the ceiling is {highest:,}")
    given = _given(scenario)
    if total < given / WAD:
        _unfit(
            f"its vaults draw {total:,.0f} stablecoins, members of pools and keepers' capital take "
            f"{given // WAD:,}"
        )


def _unfit(how: str) -> None:
    raise BackstopError(f"the scenario does not fit: {how}")


def _unguarded(feed: FeedParameters) -> FeedParameters:
    making = ("reporters", "quorum", "step", "max_age", "stale_after", "window")
    return FeedParameters(**{name: getattr(feed, name) for name in making})


def _floats(prices: Prices) -> Floats:
    return prices.ticks * (prices.tick / RAY)


def _at(series: Series, times: Integers) -> Floats:
    """A series at given times."""
    if len(series.times) == 1:
        return np.full(len(times), float(series.values[0]))
    places = np.searchsorted(np.array(series.times), times, side="right") - 1
    return np.array(series.values, dtype=np.float64)[np.maximum(0, places)]


def _bids(policies: Sequence[GasPolicy], clearing: Series, times: Integers) -> Floats:
    """As GasPolicy.bid, for all blocks."""
    bids, lagged = np.empty((len(policies), len(times))), {}
    for row, policy in zip(bids, policies, strict=True):
        if policy.fixed is not None:
            row[:] = policy.fixed
            continue
        if policy.lag not in lagged:
            lagged[policy.lag] = _at(clearing, times - policy.lag)
        np.multiply(lagged[policy.lag], policy.factor / BASIS_POINTS, out=row)
        if policy.cap is not None:
            np.minimum(row, policy.cap, out=row)
    return bids


def _playing(scenario: Scenario) -> list[KeeperGroup]:
    """The groups that the kernel plays, by name: so are those ordered that bid alike."""
    return sorted((each for each in scenario.keepers if each.role in ROLES), key=lambda each: each.name)


# ----------------------------------------------------------------------- tables


def _given(scenario: Scenario) -> int:
    """What of the drawn stablecoins members and keepers have, wad; the market maker has the rest."""
    given = sum(
        amount
        for pool, members in scenario.members.items()
        if pool != "staked_equity"
        for amount in members.values()
    )
    for group in scenario.keepers:
        if group.asset == "Stablecoin":
            given += group.count * (group.capital if group.role == "member" else group.endowment)
    return given


def _first_step(scenario: Scenario) -> int:
    """How long before the start all feeds stepped for the last time."""
    return max(each.feed.step for each in scenario.parameters.collateral_types)


def _setting(scenario: Scenario, drawn: float, reserve: float) -> Table:
    setting = np.zeros(1, dtype=SETTING)
    setting["opened_before"] = scenario.opened_before
    setting["first_step"] = _first_step(scenario)
    setting["limit"] = scenario.parameters.global_auction_limit
    setting["scarcity"] = scenario.scarcity / BASIS_POINTS
    setting["money"] = drawn - _given(scenario) / WAD
    setting["supply"] = drawn
    setting["reserve"] = reserve
    setting["blocks"] = scenario.blocks
    setting["block_time"] = scenario.block_time
    setting["start"] = scenario.start
    setting["epoch"] = scenario.parameters.epoch_length
    setting["gas_type"] = scenario.symbols.index(scenario.gas_token)
    return setting


def _terms(scenario: Scenario) -> Table:
    terms = np.zeros(len(scenario.symbols), dtype=TERMS)
    for row, each in zip(terms, scenario.parameters.collateral_types, strict=True):
        auction, feed, market = each.auction, each.feed, scenario.markets[each.symbol]
        row["ratio"] = each.liquidation_ratio / BASIS_POINTS
        row["floor"] = each.debt_floor
        row["limit"] = each.auction_limit
        row["growth"] = rpow(RAY + each.stability_fee, scenario.block_time) / RAY
        row["buffer_share"] = each.buffer_share / BASIS_POINTS
        row["redistribution"] = _redistribution(each)
        row["curve"], row["period"], row["cut"] = auction.curve, auction.period, auction.cut / RAY
        for name in ("cusp", "buf", "chip"):
            row[name] = getattr(auction, name) / BASIS_POINTS
        row["penalty"] = auction.penalty / BASIS_POINTS - 1
        row["minimum"] = ceil(each.debt_floor * auction.penalty / BASIS_POINTS)
        row["tail"], row["tip"] = auction.tail, auction.tip
        row["quorum"] = feed.quorum
        for name in ("step", "max_age", "stale_after", "window"):
            row[name] = getattr(feed, name)
        row["fee"] = 0 if each.market is None else each.market.fee / BASIS_POINTS
        row["depth"], row["tolerance"] = market.depth / WAD, market.tolerance / BASIS_POINTS
        row["every"], row["recovery"] = market.every, market.recovery
    return terms


def _redistribution(collateral: CollateralParameters) -> float:
    """Bounded by its cap, and by the gap between the type's ratios."""
    gap = collateral.initial_ratio / collateral.liquidation_ratio - 1
    return min(collateral.redistribution_cap / BASIS_POINTS, gap)


def _groups(scenario: Scenario, owners: Sequence[int]) -> tuple[Table, Bytes]:
    """The groups, and which keeper of each group of liquidators looks after whose vault."""
    playing = _playing(scenario)
    groups = np.zeros(len(playing), dtype=GROUP)
    rows, first = [np.zeros(len(owners), dtype=np.uint8)], 0
    for row, group in zip(groups, playing, strict=True):
        row["role"], row["number"], row["most"] = ROLES[group.role], group.count, group.most
        row["first"] = first
        row["delay"] = max(1, -(-group.latency // scenario.block_time))
        row["profit"], row["capital"] = group.minimum_profit / WAD, group.capital / WAD
        row["takes_at"], row["deviation"] = group.takes_at / BASIS_POINTS, group.deviation / BASIS_POINTS
        row["heartbeat"], row["refuses_at"] = group.heartbeat, group.refuses_at / RAY
        first += group.count
        if group.role == "liquidator" and group.count > 1:
            row["row"] = len(rows)
            rows.append(np.array([owner % group.count for owner in owners], dtype=np.uint8))
    return groups, np.array(rows)


def _stages(scenario: Scenario) -> Table:
    """The waterfall, with what members have put into its pools."""
    found = np.zeros(len(scenario.parameters.stages), dtype=STAGE)
    for row, stage in zip(found, scenario.parameters.stages, strict=True):
        row["kind"] = _KINDS.get(stage.name, POOL)
        row["cap"] = float("inf") if stage.cap_absolute is None else stage.cap_absolute / RAD
        row["share"] = stage.cap_bps / BASIS_POINTS
        if row["kind"] == POOL:
            put_in = sum(scenario.members.get(stage.name, {}).values())
            for group in scenario.keepers:
                if group.role == "member" and group.pool == stage.name:
                    put_in += group.count * group.capital
            row["opening"] = put_in / WAD
    return found


def _noise(scenario: Scenario, seed: int) -> Floats:
    """By how much each reporter misreads each block: the same on all paths, as in any run of this seed."""
    (group,) = (group for group in scenario.keepers if group.role == "reporter")
    noise = np.ones((len(scenario.symbols), group.count, scenario.blocks + 1))
    if group.noise:
        for r, name in enumerate(group.names()):
            for c in range(len(noise)):
                for t in range(scenario.blocks + 1):
                    dice = Dice(seed, name, c, scenario.start + t * scenario.block_time)
                    noise[c, r, t] += dice.between(-group.noise, group.noise) / BASIS_POINTS
    return noise
