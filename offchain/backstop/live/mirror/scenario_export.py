"""Exports of a live deployment as a scenario: scenario.yaml, the vault book, and the whole state.

A simulation begins with that state, slot by slot the same, moved to the addresses of a throw-away deployment.
A command that lays other terms over the scenario (`compare`) opens the vault book anew instead.
"""

from __future__ import annotations

import csv
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

from backstop.contract_base import ZERO_ADDRESS, Table, World
from backstop.deployment.contracts_by_parameter_name import CLOSERS, POOLS, name_stability_pool
from backstop.deployment.deployment_file import parameters_to_json
from backstop.deployment.model_and_chain_deployment import create_model
from backstop.deployment.planned_contracts import Deployment, plan_deployment
from backstop.deployment.role_accounts import ACCOUNTS, get_account
from backstop.errors import BackstopError
from backstop.files.atomic_files import write_json
from backstop.hosts.world_storage_json import encode_nonzero_storage_words
from backstop.keepers.keeper_view import KeeperView
from backstop.keepers.stability_pool_view import list_pool_members
from backstop.keepers.view_records import MarketData
from backstop.live.mirror.chain_mirror import Mirror
from backstop.model.arithmetic import BASIS_POINTS, RAY, WAD
from backstop.model.bounds import EQUITY_MARKET
from backstop.model.member_pool import MemberPool
from backstop.model.stability_pool import OffsetPool
from backstop.simulation.scenario import Scenario, load_scenario
from backstop.simulation.scenario.opening_section import OPENING_VERSION
from backstop.simulation.scenario.parameter_misfit_refusal import SHORT_STEP, iter_short_steps
from backstop.simulation.scenario.parameters_yaml_writer import (
    build_scenario_yaml_parameters_section,
    build_unsafe_section,
    format_decimal,
    format_exact_stablecoin,
    format_exact_usd_price,
    render_yaml,
)
from backstop.simulation.scenario.scenario_loader import SCHEMA_VERSION

DAY = 86_400
# What keeps a deployment running, and needs no money of its own.
_KEEPERS = {
    "poker": "poker",
    "accruer": "accruer",
    "liquidator": "liquidator",
    "taker": "flash_taker",
    "crank": "crank",
    "coverer": "coverer",
    "recogniser": "recogniser",
}
_OF_EQUITY = {"treasurer": "treasurer"}
_OF_GUARDS = {"ceilings": "ceilings", "breaker": "breaker", "caller": "caller"}
_OF_CYCLES = {"margin_crank": "margin_crank"}
# Between the lowest price at which a vault can be opened and the one at which the book is.
_MARGIN = 10_100


def export_scenario(
    mirror: Mirror, folder: Path, duration: int, block_time: int
) -> tuple[Scenario, list[str]]:
    """Write a deployment's state as a scenario to a folder, for simulations.

    The files are scenario.yaml, the vault book book.csv and the whole state state.json. Durations are in
    seconds. Return the scenario as read back, and notes on debts left out of the book. Raise BackstopError if
    a scenario cannot describe the deployment.
    """
    deployment = mirror.deployment
    slot = deployment.parameters.block_time
    if slot not in (0, block_time):
        raise BackstopError(
            f"auctions of this deployment count blocks of {slot} s: export it with --block-time '{slot} s'"
        )
    _require_deployed_policy_in_force(mirror)
    state = _build_world_with_throwaway_addresses(mirror)
    view = _build_view(mirror)
    book, opened_at, left_out = _build_vault_book(mirror, view)
    content = _build_scenario(mirror, view, duration, block_time)
    for symbol, members in _build_stability_pool_deposits(mirror).items():
        content["parameters"]["collateral_types"][symbol]["stability_pool"]["members"] = members
    content["vault_book"] = {
        "file": "book.csv",
        "opened_at": {s: format_exact_usd_price(p) for s, p in opened_at.items()},
    }
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "book.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("owner", "collateral", "locked", "debt"))
        rows.writerows(book)
    opening = {
        "schema_version": OPENING_VERSION,
        "timestamp": mirror.model.timestamp,
        "block_number": mirror.block,
        "parameters": parameters_to_json(deployment.parameters),
        "words": encode_nonzero_storage_words(state),
    }
    write_json(opening, folder / "state.json")
    (folder / "scenario.yaml").write_text(render_yaml(content), encoding="utf-8")
    try:
        return load_scenario(folder / "scenario.yaml"), left_out
    except BackstopError as error:
        raise BackstopError(f"a scenario cannot say what this deployment is: {error}") from None


def _require_deployed_policy_in_force(mirror: Mirror) -> None:
    """Raise BackstopError if the risk policy in force is not the one that was deployed."""
    found = mirror.model.world.contracts["VaultEngine"].tables["terms.risk_policy"][()]
    if found not in (mirror.deployment.addresses.get("RiskPolicy"), ZERO_ADDRESS):
        raise BackstopError(f"the risk policy is {found} now: a scenario has only the one that was deployed")


def _build_world_with_throwaway_addresses(mirror: Mirror) -> World:
    """Return the model's state with all addresses replaced by those of a throw-away deployment."""
    deployment = mirror.deployment
    target = plan_deployment(deployment.parameters)
    moves = {address: target.addresses[name] for name, address in deployment.addresses.items()}
    moves |= {address: get_account(role) for role, address in deployment.accounts.items()}

    def moved(value: Any) -> Any:
        if isinstance(value, str):
            return moves.get(value, value)
        if isinstance(value, tuple):
            parts = [moved(part) for part in value]
            return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
        return value

    world = create_model(target, mirror.model.timestamp).world
    for name, contract in mirror.model.world.contracts.items():
        if name not in world.contracts:  # a policy that was created and is not in force
            continue
        for path, table in contract.tables.items():
            copy: Table = world.contracts[name].tables[path]
            copy.clear()
            for key, value in table.items():
                dict.__setitem__(copy, moved(key), moved(value))
    return world


def _build_view(mirror: Mirror) -> KeeperView:
    parameters = mirror.deployment.parameters
    nothing = MarketData((0,) * len(parameters.collateral_types), 0, 0)
    addresses, snapshot = mirror.deployment.addresses, mirror.model.snapshot()
    number = mirror.model.next_block_number
    return KeeperView(snapshot, addresses, mirror.model.timestamp, nothing, parameters, number=number)


def _get_market_or_feed_price(view: KeeperView, collateral_type: int) -> int:
    """Return the price in the local market, or the feed's last price without a market [ray].

    Raise BackstopError if there is neither.
    """
    pool = view.find_constant_product_pool(collateral_type)
    found = (
        view.get_feed_price_record(collateral_type).current
        if pool is None
        else pool.stable * RAY // pool.collateral
    )
    if not found:
        raise BackstopError(
            f"{view.symbols[collateral_type]} has neither a market nor a price: nothing can be simulated"
        )
    return found


def _build_vault_book(
    mirror: Mirror, view: KeeperView
) -> tuple[list[tuple[str, str, str, str]], dict[str, int], list[str]]:
    """Return the rows of the vault book, opening prices [ray] by symbol, and notes on debts left out.

    At the opening prices all vaults can be opened. Collateral and debt of open auctions and workouts are
    given back to their vaults.
    """
    owed: dict[tuple[int, str], list[int]] = {}
    for (c, owner), vault in mirror.model.world.contracts["VaultEngine"].tables["vaults"].items():
        debt = vault.normalized_debt * view.get_debts(c).accumulated_rate
        if vault.locked_collateral or debt:
            owed[c, owner] = [vault.locked_collateral, debt]
    owners = mirror.model.world.contracts["CollateralAuction"].tables["owners"]
    for auction in view.auctions:
        place = owed.setdefault((auction.collateral_type, owners[auction.id].owner), [0, 0])
        place[0] += auction.lot
        place[1] += auction.principal
    for workout in view.workouts:
        place = owed.setdefault((workout.collateral_type, workout.owner), [0, 0])
        place[0] += workout.lot
        place[1] += workout.principal
    names = _build_role_names_by_address(mirror.deployment)
    rows, left_out = [], []
    for name, facilitator in view.facilitators_by_name.items():
        # Nobody but its bridge can open it.
        _, debt = owed.pop((facilitator.collateral_type, view.addresses[name]), (0, 0))
        if debt:
            left_out.append(f"{name}: {format_exact_stablecoin(debt // RAY)} of debt, drawn by a bridge")
    opened_at = {symbol: _get_market_or_feed_price(view, c) for c, symbol in enumerate(view.symbols)}
    for (c, owner), (locked, debt) in sorted(owed.items()):
        symbol, terms, wad = view.symbols[c], view.get_terms(c), debt // RAY
        if wad and (locked == 0 or wad < terms.debt_floor * WAD):
            why = "no collateral" if locked == 0 else "less than the floor"
            left_out.append(f"{symbol} {owner}: {format_exact_stablecoin(wad)} of debt, {why}")
            wad = 0
        if wad:
            needed = (wad + 1) * terms.initial_ratio * RAY * _MARGIN // (locked * BASIS_POINTS**2) + 1
            opened_at[symbol] = max(opened_at[symbol], needed)
        if locked:
            rows.append(
                (names.get(owner, owner), symbol, format_decimal(locked, WAD), format_decimal(wad, WAD))
            )
    if not rows:
        raise BackstopError("there are no vaults yet: nothing can be simulated")
    return rows, opened_at, left_out


def _build_role_names_by_address(deployment: Deployment) -> Mapping[Hashable, str]:
    """Return the role of each account that has one, by address."""
    return {deployment.get_account(role): role for role in ACCOUNTS}


def _build_scenario(mirror: Mirror, view: KeeperView, duration: int, block_time: int) -> dict[str, Any]:
    from datetime import UTC, datetime

    parameters = mirror.deployment.parameters
    at = datetime.fromtimestamp(mirror.model.timestamp, UTC)
    where = f"block {mirror.block} ({mirror.hash}) of chain {mirror.deployment.chain_id}"
    symbols = view.symbols
    end = f"{-(-duration // 3_600):02}:00"
    prices = {symbol: _get_market_or_feed_price(view, c) for c, symbol in enumerate(symbols)}
    found: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "title": f"From block {mirror.block}",
        "description": f"A live deployment as it was at {where}. Prices stand still.",
        "facts": [{"fact": f"The state of {where}.", "source": "replayed into the model and compared"}],
        "assumptions": [
            "Prices, gas prices and keepers are made up; edit them.",
            "Each market is as deep as it was found, and is refilled by the outside world.",
        ],
        "start": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "duration": f"{duration} s",
        "block_time": f"{block_time} s",
        "opened_before": f"{2 * DAY} s",
        "opening": {"file": "state.json"},
        "parameters": build_scenario_yaml_parameters_section(parameters),
        "prices": {symbol: _build_constant_path(ray, end) for symbol, ray in prices.items()},
        "gas_token": next((symbol for symbol in symbols if "ETH" in symbol), symbols[0]),
        "markets": {symbol: _build_scenario_market(view, c, parameters) for c, symbol in enumerate(symbols)},
        "members": _build_member_payouts_by_pool(mirror),
        "keepers": _build_keepers(parameters),
        "congestion": {
            "block_gas": "30_000_000 gas",
            "gas_prices": {"assumed": {"00:00": "20 gwei"}},
            "protocol_share": {"assumed": {"00:00": "100%"}},
        },
    }
    found |= build_unsafe_section(parameters, prices)
    if any(iter_short_steps(parameters, block_time)):
        reason = f"Blocks are of {block_time} s: in each of them an auction's price falls by several steps."
        found["unsafe"] = {**found.get("unsafe", {}), SHORT_STEP: reason}
    if parameters.equity is not None:
        found["equity_price"] = _build_constant_path(
            view.get_feed_price_record(EQUITY_MARKET).current or RAY, end
        )
    return found


def _build_constant_path(ray: int, end: str) -> dict[str, Any]:
    return {
        "assumed": {"00:00": format_exact_usd_price(ray), end: format_exact_usd_price(ray)},
        "volatility": "0 bps",
    }


def _build_scenario_market(view: KeeperView, collateral_type: int, parameters: Any) -> dict[str, str]:
    pool, market = (
        view.find_constant_product_pool(collateral_type),
        parameters.collateral_types[collateral_type].market,
    )
    depth = 10**6 * WAD if pool is None else max(WAD, pool.stable)
    times = {"every": "5 min", "recovery": "15 min", "tolerance": "75 bps"}
    return {"depth": format_exact_stablecoin(depth), "fee": f"{market.fee} bps", **times}


def _build_member_payouts_by_pool(mirror: Mirror) -> dict[str, dict[str, str]]:
    """Return the members of each pool, with the payout of a full exit [wad], without those that get 0.

    Members with unpaid withdrawal requests are included.
    """
    names, found = _build_role_names_by_address(mirror.deployment), {}
    contracts = mirror.model.world.contracts.values()
    own = {contract.address for contract in contracts}
    for name, (label, _, _) in POOLS.items():
        pool = mirror.model.world.contracts.get(label)
        if not isinstance(pool, MemberPool):
            continue
        unit, members = "equity" if name == "staked_equity" else "stablecoin", {}
        owners = {*pool.tables["token.balances"], *(owner for _, owner in pool.tables["line.requests"])}
        for owner in owners - own:
            worth = pool.convertToAssets(owner, pool.balanceOf(owner, owner))
            # Who is in a batch that was not paid yet is a member, too.
            for batch in pool.list_request_batches(owner):
                record = pool.batch_of(owner, batch)
                shares = 0 if record.over else pool.shares_at_cut(batch, owner)
                if record.held:
                    worth += record.held * shares // record.shares
                elif shares and batch >= pool.queue(owner)[1]:
                    worth += pool.convertToAssets(owner, shares)
            if worth:
                members[names.get(owner, owner)] = f"{format_decimal(worth, WAD)} {unit}"
        found[name] = dict(sorted(members.items()))
    return found


def _build_stability_pool_deposits(mirror: Mirror) -> dict[str, dict[str, str]]:
    """Return the depositors of each stability pool with their stablecoins, by collateral type.

    Deposits that wait for admission are included. Deposits under one stablecoin are left out.
    """
    names, found = _build_role_names_by_address(mirror.deployment), {}
    for collateral in mirror.deployment.parameters.collateral_types:
        pool = mirror.model.world.contracts.get(name_stability_pool(collateral.symbol))
        if isinstance(pool, OffsetPool):
            deposits = {}
            for owner in list_pool_members(pool.tables):
                member = pool.member_of(owner, owner)
                if (coins := member.coins + member.entry) >= WAD:
                    deposits[names.get(owner, owner)] = format_exact_stablecoin(coins)
            found[collateral.symbol] = dict(sorted(deposits.items()))
    return found


def _build_keepers(parameters: Any) -> dict[str, dict[str, Any]]:
    roles = dict(_KEEPERS)
    if parameters.equity is not None:
        roles |= _OF_EQUITY
    if parameters.guards is not None:
        roles |= _OF_GUARDS
    if parameters.margin is not None:
        roles |= _OF_CYCLES
        if parameters.margin.policy in CLOSERS:
            roles["deleverager"] = "deleverager"
        if parameters.margin.backstop is not None:
            roles["backstop_keeper"] = "backstop_keeper"
    found: dict[str, dict[str, Any]] = {
        "reporter": {
            "role": "reporter",
            "count": max(each.feed.reporters for each in parameters.collateral_types),
            "gas_price": "20 gwei",
        }
    }
    return found | {name: {"role": role, "gas_price": "20 gwei"} for name, role in roles.items()}
