"""Scenario as the kernel's tables: the common data of all paths, and the world of one path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil

import numpy as np
from scipy.ndimage import maximum_filter1d

from backstop.deployment.parameter_dataclasses import (
    CollateralParameters,
    DiscountParameters,
    StabilityPoolParameters,
)
from backstop.deployment.role_accounts import get_account
from backstop.errors import BackstopError
from backstop.keepers.call_costs import require_call_gas
from backstop.keepers.keeper_group_settings import GasPolicy, KeeperGroup, StepSeries
from backstop.keepers.stability_pool_calls import compute_gas_of_each, compute_liquidation_gas
from backstop.model.arithmetic import BASIS_POINTS, RAD, RAY, WAD, rpow
from backstop.model.fixed_discount import compute_threshold
from backstop.randomness import SeededRandom
from backstop.simulation.scenario import Scenario, build_vault_book
from backstop.simulation.scenario.depth_after_fall import count_window_blocks
from backstop.simulation.scenario.draw_scenario import (
    PathDraw,
    TickPrices,
    draw_path_outcomes,
    set_depths_from_debts,
)
from backstop.simulation.scenario.scenario_records import Vault
from backstop.studies.stress.fast.capabilities import ROLES, refuse_unsupported
from backstop.studies.stress.fast.kernel_tables import (
    BUFFER,
    EMPTY,
    EXIT,
    GROUP,
    POOL,
    REDISTRIBUTION,
    RESERVE,
    SETTING,
    STAGE,
    TERMS,
    VAULT,
    Bytes,
    Floats,
    Integers,
    PathConditions,
    Table,
)

WEI = 1e-18

EDGE = 10**11
"""Part of a debt that decides for a vault at its liquidation ratio, where floats cannot tell the side."""

_KINDS = {"buffer": BUFFER, "reserve": RESERVE, "clawback": EMPTY, "redistribution": REDISTRIBUTION}
_POOLS = ("junior", "senior", "savings")

_GAS = [
    require_call_gas(*job)
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
        ("FlashTaker", "liquidate_and_sell"),
        ("LiquidationEngine", "liquidate_and_buy"),
    )
] + [compute_liquidation_gas(1), compute_gas_of_each()]
"""Gas of each role's call, by role; then that of the other jobs."""


def _convert_vault_debt_to_float(
    scenario: Scenario, vault: Vault, type_index: int, opening_prices: Mapping[str, int]
) -> float:
    """Return a vault's debt as a float that keeps the vault safe or unsafe as on chain [stablecoins].

    Vault files have rows exactly at the liquidation ratio, which are safe or unsafe at the first price by one
    wei.
    """
    terms = scenario.parameters.collateral_types[type_index]
    worth = vault.locked * opening_prices[vault.symbol] * BASIS_POINTS
    needed = vault.debt * RAY * terms.liquidation_ratio
    if terms.stability_fee or abs(worth - needed) * EDGE >= needed:
        return vault.debt / WAD
    return vault.debt / WAD * (1 + 1 / EDGE if worth < needed else 1 - 1 / EDGE)


@dataclass(frozen=True)
class ScenarioTables:
    """Arrays of a scenario for the compiled engine: vaults, terms, keepers, stages and gas.

    All paths share them.
    """

    scenario: Scenario
    seed: int
    setting: Table
    gas: Floats
    terms: Table
    vaults: Table
    groups: Table
    mine: Bytes  # [row of a group, v]: which of its keepers looks after a vault
    stages: Table
    noise: Floats  # [c, reporter, t]: price that a reporter sees over the true one
    shared: PathConditions | None = None  # bids, gas and inclusion order, where they are equal on all paths

    @classmethod
    def from_scenario(cls, scenario: Scenario, seed: int) -> ScenarioTables:
        """Build the tables; raise BackstopError for features that the fast engine does not support."""
        refuse_unsupported(scenario)
        scenario = set_depths_from_debts(scenario, seed)
        types = {symbol: c for c, symbol in enumerate(scenario.symbols)}
        opening = {symbol: path.points[0] for symbol, path in scenario.prices.items()}
        book = build_vault_book(scenario, seed, opening)
        return cls.from_vaults(
            scenario,
            seed,
            np.array([types[vault.symbol] for vault in book], dtype=np.int64),
            np.array([vault.locked / WAD for vault in book]),
            np.array(
                [
                    _convert_vault_debt_to_float(scenario, vault, types[vault.symbol], opening)
                    for vault in book
                ]
            ),
            [int(get_account(vault.owner), 16) for vault in book],
        )

    @classmethod
    def from_vaults(
        cls,
        scenario: Scenario,
        seed: int,
        type_indices: Integers,
        locked_coins: Floats,
        drawn_debts: Floats,
        owner_addresses: Sequence[int],
    ) -> ScenarioTables:
        """Build the tables with these vaults instead of the scenario's own.

        Each sequence has one entry per vault. `type_indices` has collateral types, `locked_coins` the
        collateral and `drawn_debts` the drawn stablecoins.
        """
        terms = _build_terms(scenario)
        listed = scenario.parameters.collateral_types
        growth = np.array([rpow(RAY + each.stability_fee, scenario.opened_before) / RAY for each in listed])
        vaults = np.zeros(len(drawn_debts), dtype=VAULT)
        vaults["opening_debt"], vaults["opening_locked"] = drawn_debts * growth[type_indices], locked_coins
        vaults["rank"][sorted(range(len(owner_addresses)), key=owner_addresses.__getitem__)] = np.arange(
            len(owner_addresses)
        )
        vaults["number"], vaults["refused_at"] = np.arange(len(vaults)), -np.inf
        worth = terms["ratio"][type_indices] * vaults["opening_debt"]
        vaults["opening_trigger"] = np.where(drawn_debts > 0, worth / np.maximum(locked_coins, WEI), 0)
        order = np.lexsort((-vaults["opening_trigger"], type_indices))
        vaults, type_indices = vaults[order], type_indices[order]
        for name in ("debt", "locked", "trigger"):
            vaults[name] = vaults[f"opening_{name}"]
        bounds = np.searchsorted(type_indices, np.arange(len(listed) + 1))
        terms["first"], terms["last"] = bounds[:-1], bounds[1:]
        terms["art"] = np.bincount(type_indices, vaults["debt"], len(listed))
        terms["locked"] = np.bincount(type_indices, vaults["locked"], len(listed))
        # Fees were charged at the feed's last step before the start.
        later = np.array(
            [rpow(RAY + each.stability_fee, _compute_longest_feed_step(scenario)) / RAY for each in listed]
        )
        terms["fees"] = terms["art"] * (1 - 1 / later)
        fees = terms["art"] * (1 / later - 1 / growth)
        terms["buffer"] = fees * terms["buffer_share"]
        drawn_by_type: Floats = np.bincount(type_indices, drawn_debts[order], len(listed)).astype(np.float64)
        terms["pool_deposits"] = _sum_stability_pool_deposits(scenario, drawn_by_type)
        given = _sum_stablecoin_endowments(scenario) / WAD + float(terms["pool_deposits"].sum())
        _check_debt_within_ceilings(scenario, terms["art"] / growth, given)
        setting = _build_setting_row(
            scenario, float(drawn_debts.sum()), given, float((fees - terms["buffer"]).sum())
        )
        groups, mine = _build_keeper_groups_and_vault_assignments(
            scenario, [owner_addresses[i] for i in order.tolist()]
        )
        gas = np.array(_GAS, dtype=np.float64)
        stages, noise = _build_stages(scenario), _draw_noise(scenario, seed)
        tables = cls(scenario, seed, setting, gas, terms, vaults, groups, mine, stages, noise)
        if scenario.spike is None and all(group.fails is None for group in scenario.keepers):
            tables = replace(
                tables, shared=tables.build_path_conditions(draw_path_outcomes(scenario, seed, 0))
            )
        return tables

    def build_path_conditions(self, path_draw: PathDraw) -> PathConditions:
        """Return the outside conditions of one path from its draws: prices, depths, gas, bids and outages."""
        scenario, symbols = self.scenario, self.scenario.symbols
        prices = np.array([_convert_ticks_to_float_prices(path_draw.prices[symbol]) for symbol in symbols])
        sources = prices
        if path_draw.sources:
            seen = (path_draw.sources.get(symbol, path_draw.prices[symbol]) for symbol in symbols)
            sources = np.array([_convert_ticks_to_float_prices(each) for each in seen])
        exits = self._build_member_exit_table(path_draw)
        depths = self._compute_market_depths(prices)
        if self.shared is not None:
            return self.shared._replace(
                prices=prices, sources=sources, depths=depths, exits=exits, owner_key=path_draw.owner_key
            )
        times = np.arange(scenario.blocks + scenario.extra_block_count + 1) * scenario.block_time
        playing = _list_played_groups(scenario)
        clearing = _sample_series(path_draw.gas_prices, times) * WEI
        capacity = _sample_series(path_draw.gas_share, times) * (scenario.block_gas / BASIS_POINTS)
        bids = _compute_gas_bids([group.gas for group in playing], path_draw.gas_prices, times) * WEI
        up = np.ones(bids.shape, dtype=np.uint8)
        for g, group in enumerate(playing):
            for outage in path_draw.outages[group.name]:
                up[g, (times >= outage.start) & (times < outage.end)] = 0
        # Block t includes what was bid in the block before.
        order = np.zeros((len(times), len(playing)), dtype=np.int64)
        order[1:] = np.argsort(-bids[:, :-1].T, axis=1, kind="stable")
        return PathConditions(
            prices, sources, depths, clearing, capacity, bids, up, order, exits, path_draw.owner_key
        )

    def _compute_market_depths(self, prices: Floats) -> Floats:
        """Return the depth of each market at each block, [type, block] in stablecoins.

        The depth falls with the price as in `compute_depth_after_fall`. The columns go on after the last
        price until no depth changes. There is one column if no depth depends on the price.
        """
        whole = self.terms["depth"][:, np.newaxis].copy()
        if not self.terms["thins"].any():
            return whole
        markets = [self.scenario.markets[symbol] for symbol in self.scenario.symbols]
        spans = [count_window_blocks(market, self.scenario.block_time) for market in markets]
        standing = np.pad(prices, ((0, 0), (0, max(spans))), mode="edge")
        depths = np.repeat(whole, standing.shape[1], axis=1)
        for row, course, market, span in zip(depths, standing, markets, spans, strict=True):
            if (thinning := market.depth_after_fall) is not None:
                # Of a block and as many before it as `span`; before the first is nothing.
                highest = maximum_filter1d(course, span + 1, origin=span - (span + 1) // 2, mode="nearest")
                fallen = np.minimum((1 - course / highest) * BASIS_POINTS / thinning.fall, 1.0)
                row *= 1 - (1 - thinning.depth / BASIS_POINTS) * fallen
        return depths

    def _build_member_exit_table(self, path_draw: PathDraw) -> Table:
        """Return the exits of pool depositors that withdraw on this path, each when its request matures."""
        names = [stage.name for stage in self.scenario.parameters.stages]
        leaving = sorted(
            (path_draw.runs[group.name], names.index(group.pool), group.capital * group.count / WAD)
            for group in self.scenario.keepers
            if group.name in path_draw.runs and group.pool in _POOLS and group.pool in names
        )
        exits = np.zeros(len(leaving), dtype=EXIT)
        left = self.stages["opening"].copy()
        for i, (begun, k, amount) in enumerate(leaving):
            pool = getattr(self.scenario.parameters, names[k])
            exits[i] = (begun + pool.cooldown + 2 * self.scenario.block_time, amount / left[k], k)
            left[k] -= amount
        return exits


def _check_debt_within_ceilings(scenario: Scenario, drawn_debts: Floats, given: float) -> None:
    """Raise BackstopError if the vaults exceed a debt ceiling, as the contracts would refuse them.

    The check tolerates rounding in floats. `given` is the debt of which others than the market maker get the
    stablecoins. The vaults must draw at least that amount.
    """
    drawn_debts = drawn_debts * (1 - 2 / EDGE)
    for each, amount in zip(scenario.parameters.collateral_types, drawn_debts.tolist(), strict=True):
        if amount > each.debt_ceiling:
            ceiling = f"{each.debt_ceiling:,}"
            _refuse_book(
                f"its {each.symbol} vaults draw {amount:,.0f} stablecoins, their ceiling is {ceiling}"
            )
    total, highest = float(drawn_debts.sum()), scenario.parameters.global_debt_ceiling
    if total > highest:
        _refuse_book(f"its vaults draw {total:,.0f} stablecoins, the ceiling is {highest:,}")
    if total < given:
        _refuse_book(
            f"its vaults draw {total:,.0f} stablecoins, the reserve, members of pools and "
            f"keepers' capital take "
            f"{given:,.0f}"
        )


def _refuse_book(how: str) -> None:
    raise BackstopError(f"the scenario does not fit: {how}")


def _convert_ticks_to_float_prices(tick_prices: TickPrices) -> Floats:
    return tick_prices.ticks * (tick_prices.tick / RAY)


def _sample_series(series: StepSeries, times: Integers) -> Floats:
    """Return the values of a step function at these times."""
    if len(series.times) == 1:
        return np.full(len(times), float(series.values[0]))
    places = np.searchsorted(np.array(series.times), times, side="right") - 1
    return np.array(series.values, dtype=np.float64)[np.maximum(0, places)]


def _compute_gas_bids(
    gas_policies: Sequence[GasPolicy], clearing_gas_prices: StepSeries, times: Integers
) -> Floats:
    """Return the gas bids of all groups, [group, time], as GasPolicy.bid does for one group."""
    bids, lagged = np.empty((len(gas_policies), len(times))), {}
    for row, policy in zip(bids, gas_policies, strict=True):
        if policy.fixed is not None:
            row[:] = policy.fixed
            continue
        if policy.lag not in lagged:
            lagged[policy.lag] = _sample_series(clearing_gas_prices, times - policy.lag)
        np.multiply(lagged[policy.lag], policy.factor / BASIS_POINTS, out=row)
        if policy.cap is not None:
            np.minimum(row, policy.cap, out=row)
    return bids


def _list_played_groups(scenario: Scenario) -> list[KeeperGroup]:
    """Return the keeper groups that the kernel simulates, sorted by name.

    The name decides the order of equal bids.
    """
    return sorted((each for each in scenario.keepers if each.role in ROLES), key=lambda each: each.name)


# ----------------------------------------------------------------------- tables


def _sum_stablecoin_endowments(scenario: Scenario) -> int:
    """Return the drawn stablecoins that the market maker does not get [wad].

    The reserve's part is burned; depositors of pools and keepers hold the rest.
    """
    given = scenario.reserve + sum(
        amount
        for pool, members in scenario.members.items()
        if pool != "staked_equity"
        for amount in members.values()
    )
    for group in scenario.keepers:
        if group.asset == "Stablecoin":
            given += group.count * (group.capital if group.role == "member" else group.endowment)
    return given


def _sum_stability_pool_deposits(scenario: Scenario, drawn_debts: Floats) -> Floats:
    """Return the deposits in each type's stability pool at the opening [stablecoins]."""
    found = np.zeros(len(drawn_debts))
    for member in scenario.stability_pool_members:
        c = scenario.symbols.index(member.symbol)
        found[c] += member.amount / WAD + drawn_debts[c] * member.debt_share / BASIS_POINTS
    return found


def _compute_longest_feed_step(scenario: Scenario) -> int:
    """Return how many seconds before the start the feeds made their last step."""
    return max(each.feed.step for each in scenario.parameters.collateral_types)


def _build_setting_row(
    scenario: Scenario, drawn_stablecoins: float, given_stablecoins: float, reserve_stablecoins: float
) -> Table:
    setting = np.zeros(1, dtype=SETTING)
    setting["opened_before"] = scenario.opened_before
    setting["first_step"] = _compute_longest_feed_step(scenario)
    setting["limit"] = scenario.parameters.global_auction_limit
    setting["ceiling"] = scenario.parameters.global_debt_ceiling
    setting["scarcity"] = scenario.scarcity / BASIS_POINTS
    setting["money"] = drawn_stablecoins - given_stablecoins
    setting["supply"] = drawn_stablecoins - scenario.reserve / WAD
    setting["reserve"] = reserve_stablecoins + scenario.reserve / WAD
    setting["blocks"] = scenario.blocks
    setting["more"] = scenario.extra_block_count
    setting["block_time"] = scenario.block_time
    setting["start"] = scenario.start
    setting["epoch"] = scenario.parameters.epoch_length
    setting["gas_type"] = scenario.symbols.index(scenario.gas_token)
    return setting


def _build_terms(scenario: Scenario) -> Table:
    terms = np.zeros(len(scenario.symbols), dtype=TERMS)
    for row, each in zip(terms, scenario.parameters.collateral_types, strict=True):
        auction, feed, market = each.auction, each.feed, scenario.markets[each.symbol]
        row["ratio"] = each.liquidation_ratio / BASIS_POINTS
        row["initial_ratio"] = each.initial_ratio / BASIS_POINTS
        row["floor"], row["ceiling"] = each.debt_floor, each.debt_ceiling
        row["limit"] = each.auction_limit
        row["growth"] = rpow(RAY + each.stability_fee, scenario.block_time) / RAY
        row["buffer_share"] = each.buffer_share / BASIS_POINTS
        row["redistribution"] = _compute_max_redistribution_share(each)
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
        row["thins"] = market.depth_after_fall is not None
        if each.discount is not None:
            _set_discount_terms(row, each.discount, each.liquidation_ratio)
        if each.stability_pool is not None:
            _set_stability_pool_terms(row, each.stability_pool)
    return terms


def _set_discount_terms(row: Table, discount: DiscountParameters, liquidation_ratio: int) -> None:
    row["discounted"] = True
    row["threshold"] = compute_threshold(liquidation_ratio) / BASIS_POINTS
    row["full_health"], row["bonus_fee"] = (
        discount.full_bonus_health / BASIS_POINTS,
        discount.fee / BASIS_POINTS,
    )
    row["small_position"] = discount.small_position
    for name in (
        *("base_bonus", "max_bonus", "max_discount", "cursor"),
        *("target_health", "close_factor", "whole_close_health"),
    ):
        row[name] = getattr(discount, name) / BASIS_POINTS


def _set_stability_pool_terms(row: Table, pool: StabilityPoolParameters) -> None:
    row["pooled"], row["writes_off"] = True, pool.has_write_off
    row["pool_penalty"], row["pool_reward"] = pool.penalty / BASIS_POINTS, pool.reward / BASIS_POINTS


def _compute_max_redistribution_share(collateral: CollateralParameters) -> float:
    """Return the largest part of the rate that redistribution may add to debts.

    This is the type's cap, or the gap between its initial and liquidation ratio if that is smaller.
    """
    gap = collateral.initial_ratio / collateral.liquidation_ratio - 1
    return min(collateral.redistribution_cap / BASIS_POINTS, gap)


def _build_keeper_groups_and_vault_assignments(
    scenario: Scenario, vault_owners: Sequence[int]
) -> tuple[Table, Bytes]:
    """Return the table of keeper groups, and the keeper of a group that each vault is assigned to.

    Only liquidators and bidders share out the vaults. Row 0 of the assignments is for all other groups.
    """
    playing = _list_played_groups(scenario)
    groups = np.zeros(len(playing), dtype=GROUP)
    rows, first = [np.zeros(len(vault_owners), dtype=np.uint8)], 0
    for row, group in zip(groups, playing, strict=True):
        row["role"], row["number"], row["most"] = ROLES[group.role], group.count, group.most
        row["first"] = first
        row["delay"] = max(1, -(-group.latency // scenario.block_time))
        row["profit"], row["capital"] = group.minimum_profit / WAD, group.capital / WAD
        row["takes_at"], row["deviation"] = group.takes_at / BASIS_POINTS, group.deviation / BASIS_POINTS
        row["heartbeat"], row["refuses_at"] = group.heartbeat, group.refuses_at / RAY
        first += group.count
        if group.role in ("liquidator", "bidder") and group.count > 1:
            row["row"] = len(rows)
            rows.append(np.array([owner % group.count for owner in vault_owners], dtype=np.uint8))
    return groups, np.array(rows)


def _build_stages(scenario: Scenario) -> Table:
    """Return the table of the waterfall's stages, with the deposits in its pools."""
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


def _draw_noise(scenario: Scenario, seed: int) -> Floats:
    """Return each reporter's error at each block as a factor on the price, [type, reporter, block].

    The draws depend on the seed alone, so that they are equal on all paths.
    """
    (group,) = (group for group in scenario.keepers if group.role == "reporter")
    blocks = scenario.blocks + scenario.extra_block_count + 1
    noise = np.ones((len(scenario.symbols), group.count, blocks))
    if group.noise:
        for r, name in enumerate(group.list_keeper_names()):
            for c in range(len(noise)):
                for t in range(blocks):
                    dice = SeededRandom(seed, name, c, scenario.start + t * scenario.block_time)
                    noise[c, r, t] += dice.draw_integer(-group.noise, group.noise) / BASIS_POINTS
    return noise
