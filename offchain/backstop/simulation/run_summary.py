"""The summary of a run: summary.json and the keepers' table, the same for equal seeds on every host."""

from __future__ import annotations

from typing import Any

from eth_hash.auto import keccak

from backstop.deployment.contracts_by_parameter_name import POOLS, name_stability_pool
from backstop.keepers.keeper_view import KeeperView
from backstop.keepers.view_records import Facilitator
from backstop.model.arithmetic import RAY
from backstop.model.stability_pool import Member
from backstop.simulation.account_value import (
    compute_member_shares_value,
    compute_total_account_worth,
    has_planned_exit,
)
from backstop.simulation.adl_evaders import summarise_evaders
from backstop.simulation.discount_sale_totals import DiscountSaleTotals
from backstop.simulation.liquidity_vault_members import summarise_pool
from backstop.simulation.loss_bearers import sum_losses_by_group
from backstop.simulation.loss_totals import add_loss_totals
from backstop.simulation.run_directory import SCHEMA_VERSION
from backstop.simulation.scenario_run_state import PoolDepositor, ScenarioRun
from backstop.simulation.stability_pool_totals import StabilityPoolTotals
from backstop.simulation.unsafe_vault_figures import compute_debt_beyond_collateral

CALLS_END = ("met", "liquidated", "restructured", "lapsed")
WORKOUTS_END = ("completed", "foreclosed", "unwound", "open")

TRIGGERS = (None, "losses", "fall", "silence", "auctions")
"""The cause that raised the mode, by its number; none: the guardian raised it, or it fell."""


def list_keeper_rows(run: ScenarioRun) -> list[dict[str, Any]]:
    """Return each keeper's transactions and profit after gas, as rows of the table `keepers`.

    Collateral that a keeper bought and kept counts at the market price of the purchase.
    """
    rows = []
    for state in run.keepers:
        address = state.keeper.address
        gained = compute_total_account_worth(run, address) - state.opening
        rows.append(
            {
                "name": state.keeper.name,
                "role": state.keeper.group.role,
                "sent": state.sent,
                "included": state.included,
                "dropped": state.dropped,
                "failed": state.failed,
                "profit_wad": str(gained - state.gas_cost),
                "gas_cost_wad": str(state.gas_cost),
            }
        )
    return rows


def summarise_run(run: ScenarioRun) -> dict[str, Any]:
    """Return the content of a run's `summary.json`."""
    scenario, both = run.scenario, run.session.both
    view, keepers = run.build_keeper_view(), list_keeper_rows(run)
    found = {
        "schema_version": SCHEMA_VERSION,
        "scenario": scenario.name,
        "title": scenario.title,
        "description": scenario.description,
        "facts": [f"{fact.statement} ({fact.source})" for fact in scenario.facts],
        "assumptions": list(scenario.assumptions),
        "seed": run.seed,
        "completed": run.completed,
        "started_at": scenario.start,
        "ended_at": max(scenario.start, run.system.timestamp),
        "block_seconds": scenario.block_time,
        "steps": len(run.steps),
        "fields_compared": both.fields_compared if both else 0,
        "differences": run.differences,
        "outages": _list_keeper_outages(run),
        "actions": _count_transactions_by_outcome(run, keepers),
        "collateral_types": [_summarise_collateral_type(run, c, view) for c in range(len(scenario.symbols))],
        "facilitators": [
            _summarise_facilitator(name, facilitator, view)
            for name, facilitator in view.facilitators_by_name.items()
        ],
        "losses": _summarise_losses(run, view),
        "paid_by": _sum_losses_by_bearer(run, view),
        **({} if scenario.owners is None else {"owners": _summarise_owner_reactions(run)}),
        "guards": _summarise_calls_modes_and_ceilings(run, view),
        "margin": _summarise_margin(run),
        "settlement": _summarise_settlement(run, view),
        "claims": _list_claim_totals_by_pool(run),
        "equity": _summarise_equity_token(run),
        "members": [_summarise_member(run, member) for member in run.members if member.pool in run.at],
        "keepers": [{name: row[name] for name in row if name != "dropped"} for row in keepers],
        "ledger": _summarise_ledger(run, view),
        "state_hash": hash_state(run),
    }
    return add_loss_totals(found)


def _summarise_margin(run: ScenarioRun) -> dict[str, Any] | None:
    """Return the margin market's part of the summary; None without a margin market."""
    margin = run.recorder.margin
    if margin is None:
        return None
    found = margin.summarise_margin_market(run.scenario.start)
    return {**found, "pool": summarise_pool(run), "dodgers": summarise_evaders(run)}


def _count_transactions_by_outcome(run: ScenarioRun, keepers: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the number of keepers' transactions by outcome.

    Outcomes add up: sent == succeeded + reverted + dropped + waiting.
    """
    total = {name: sum(row[name] for row in keepers) for name in ("sent", "included", "failed", "dropped")}
    return {
        "sent": total["sent"],
        "succeeded": total["included"] - total["failed"],
        "reverted": dict(sorted(run.reverted.items())),
        "dropped": total["dropped"],
        "waiting": len(run.mempool),
    }


def _summarise_collateral_type(run: ScenarioRun, type_number: int, view: KeeperView) -> dict[str, Any]:
    collateral = run.scenario.parameters.collateral_types[type_number]
    auctions = [each for each in run.recorder.auctions.values() if each.collateral_type == type_number]
    sales = run.recorder.discount_sales.get(type_number, DiscountSaleTotals())
    pool = run.recorder.stability_pools.get(type_number)
    return {
        "symbol": collateral.symbol,
        "liquidation_ratio_bps": collateral.liquidation_ratio,
        "margins_by_size": run.scenario.parameters.guards is not None
        and collateral.policy.has_size_surcharges,
        "opened_vaults": run.recorder.opened[type_number],
        "liquidations": len(auctions) + sales.sales + (0 if pool is None else pool.offsets),
        "auctions": {
            "started": len(auctions),
            "resets": sum(auction.resets for auction in auctions),
            "cleared": sum(auction.ended_by == "cleared" for auction in auctions),
            "closed": sum(auction.ended_by == "closed" for auction in auctions),
        },
        **({} if collateral.discount is None else {"discount_sales": sales.build_summary()}),
        **(
            {}
            if pool is None
            else {"stability_pool": _summarise_stability_pool(run, type_number, view, pool)}
        ),
        "worst_price_ray": str(run.recorder.worst.get(type_number, view.outside.prices[type_number])),
        "final_price_ray": str(view.outside.prices[type_number]),
        "debt_rad": str(view.get_debts(type_number).performing + view.get_principal_in_auction(type_number)),
        "deficit_rad": str(view.get_deficit(type_number)),
        "over_liquidated_rad": str(run.recorder.over_liquidated[type_number]),
        "underwater_rad": str(compute_debt_beyond_collateral(view, type_number)),
        "buffer_rad": str(view.get_buffer(type_number)),
    }


def _summarise_stability_pool(
    run: ScenarioRun, type_number: int, view: KeeperView, totals: StabilityPoolTotals
) -> dict[str, Any]:
    """Return a stability pool's totals, its final coins, and each member's final wealth.

    Members' wealth includes withdrawals. Collateral counts at the market price, and after settlement a coin
    counts as the collateral that it redeems.
    """
    price, contract = view.outside.prices[type_number], name_stability_pool(run.scenario.symbols[type_number])
    members = []
    for member in run.stability_pool_members:
        if member.pool == contract:
            found: Member = run.session.model.view(contract, "member_of", member.address)
            paid_out = run.recorder.withdrawals.get((contract, member.address), 0)
            coins = found.coins + found.entry + found.income + paid_out
            has = coins * view.compute_coin_value() // RAY + found.collateral * price // RAY
            members.append(
                {
                    "name": member.name,
                    "deposit_wad": str(member.deposit),
                    "coins_wad": str(coins),
                    "collateral_wad": str(found.collateral),
                    "end_wad": str(has),
                }
            )
    coins_left = run.session.model.view(contract, "totalSupply")
    return {**totals.build_summary(price), "coins_wad": str(coins_left), "members": members}


def _summarise_facilitator(name: str, facilitator: Facilitator, view: KeeperView) -> dict[str, Any]:
    """Return a facilitator's final debt, announced loss, booked loss and deficit."""
    c = facilitator.collateral_type
    return {
        "name": name,
        "line": view.get_terms(c).debt_ceiling,
        "debt_rad": str(facilitator.debt),
        "announced_wad": str(facilitator.announced),
        "lost_wad": str(facilitator.lost),
        "deficit_rad": str(view.get_deficit(c)),
    }


def _summarise_losses(run: ScenarioRun, view: KeeperView) -> dict[str, Any]:
    """Return the run's losses [rad]: created == recovered + covered by stages + outstanding."""
    created, covered = run.recorder.created, run.recorder.covered
    outstanding = _sum_unpaid_losses(run, view)
    return {
        "created_rad": str(created),
        "recovered_rad": str(created - sum(covered.values()) - outstanding),
        "covered": [{"stage": stage, "rad": str(amount)} for stage, amount in covered.items()],
        "outstanding_rad": str(outstanding),
    }


def _sum_losses_by_bearer(run: ScenarioRun, view: KeeperView) -> list[dict[str, str]]:
    """Return the losses of each group of bearers [wad].

    A borrower's loss is the market value of sold collateral beyond the debt that it repaid.
    """
    covered = run.recorder.covered
    sold_cheaply = sum(auction.owner_loss for auction in run.recorder.auctions.values())
    sold_cheaply += sum(totals.owner_loss for totals in run.recorder.discount_sales.values())
    sold_cheaply += sum(totals.owner_loss for totals in run.recorder.stability_pools.values())
    amounts = sum_losses_by_group(covered, covered, sold_cheaply * RAY, _sum_unpaid_losses(run, view))
    return [{"group": group, "wad": str(amount // RAY)} for group, amount in amounts.items()]


def _summarise_owner_reactions(run: ScenarioRun) -> dict[str, Any]:
    """Return the totals of vault owners' reactions, and the number of their reverted calls."""
    done = list(run.owner_activity.items())

    def sum_by_type(field: str) -> list[int]:
        types = range(len(run.scenario.symbols))
        return [sum(getattr(each, field) for (c, _), each in done if c == number) for number in types]

    sold, added, withdrawn = map(sum_by_type, ("sold", "added", "withdrawn"))
    return {
        "vaults": sum(each.actions > 0 for _, each in done),
        "actions": sum(each.actions for _, each in done),
        "refused": run.refused_owner_calls,
        "repaid_wad": str(sum(each.repaid for _, each in done)),
        "drawn_wad": str(sum(each.drawn for _, each in done)),
        "collateral": [
            {
                "symbol": symbol,
                "sold_wad": str(sold[c]),
                "added_wad": str(added[c]),
                "withdrawn_wad": str(withdrawn[c]),
            }
            for c, symbol in enumerate(run.scenario.symbols)
        ],
    }


def _summarise_calls_modes_and_ceilings(run: ScenarioRun, view: KeeperView) -> dict[str, Any] | None:
    """Return margin calls, workouts, modes and ceilings of the run; None if no guards are deployed."""
    if run.scenario.parameters.guards is None:
        return None
    watch, symbols, start = run.recorder.guards, run.scenario.symbols, run.scenario.start
    ended = [call.ended_by for call in watch.calls]
    return {
        "calls": {"made": len(ended), **{how: ended.count(how) for how in CALLS_END}},
        "open_calls": [
            {
                "symbol": symbols[call.collateral_type],
                "owner": run.names.get(call.owner, call.owner),
                "called_at": call.called_at,
                "due_at": call.due,
                "expires_at": call.expires,
            }
            for call in watch.calls
            if call.ended_by == "open"
        ],
        "workouts": _count_workouts(run, view),
        "mode": view.mode,
        "modes": [
            {
                "at": at,
                "mode": mode,
                "trigger": TRIGGERS[trigger],
                "symbol": symbols[c] if c < len(symbols) else None,
            }
            for at, mode, trigger, c in watch.modes
        ],
        "ceilings": [
            {"at": at, "symbol": symbols[c], "ceiling": ceiling}
            for at, c, ceiling in watch.ceilings
            if at >= start
        ],
    }


def _count_workouts(run: ScenarioRun, view: KeeperView) -> dict[str, Any]:
    """Return the number of workouts by outcome, and the instalments still due of open ones."""
    ended = [each.ended_by for each in run.recorder.guards.workouts.values()]
    due = [
        (each.get_due_time(k), each.collateral_type, each.compute_arrears(k) - each.compute_arrears(k - 1))
        for each in view.workouts
        for k in range(1, each.instalments + 1)
    ]
    return {
        "entered": len(ended),
        **{how: ended.count(how) for how in WORKOUTS_END},
        "principal_rad": str(sum(each.principal for each in view.workouts)),
        "due": [
            {"at": at, "symbol": run.scenario.symbols[c], "wad": str(amount)}
            for at, c, amount in sorted(due)
            if amount
        ],
    }


def _summarise_settlement(run: ScenarioRun, view: KeeperView) -> dict[str, Any] | None:
    """Return the begin and end of settlement and the worth of a coin; None if it did not begin."""
    progress = view.settlement
    if progress.begun_at == 0:
        return None
    if progress.fixed_at == 0:
        return {"begun_at": progress.begun_at, "fixed_at": None, "lost_rad": None, "coin_worth_ray": None}
    return {
        "begun_at": progress.begun_at,
        "fixed_at": progress.fixed_at,
        "lost_rad": str(run.recorder.loss_borne_by_holders),
        "coin_worth_ray": str(view.compute_coin_value()),
    }


def _list_claim_totals_by_pool(run: ScenarioRun) -> list[dict[str, str]]:
    """Return each pool's claims for absorbed losses: issued, repaid from income, still owed [wad]."""
    found = []
    for contract, _, _ in POOLS.values():
        series = f"{contract}.Claims"
        if series in run.at:
            issued, repaid = run.recorder.claims.get(series, [0, 0])
            owed = run.session.model.view(series, "outstanding")
            figures = {"issued_wad": str(issued), "repaid_wad": str(repaid), "owed_wad": str(owed)}
            found.append({"pool": contract} | figures)
    return found


def _summarise_equity_token(run: ScenarioRun) -> dict[str, str] | None:
    """Return the equity token's final price [ray] and supply [wad]; None if it is not deployed."""
    if "Equity" not in run.at:
        return None
    supply = run.session.model.view("Equity", "totalSupply")
    return {"price_ray": str(run.equity_price), "supply_wad": str(supply)}


def _summarise_member(run: ScenarioRun, member: PoolDepositor) -> dict[str, Any]:
    """Return a pool member's deposit and final wealth [wad of the pool's asset]."""
    if member.asset == "Stablecoin":
        has = compute_total_account_worth(run, member.address)
    else:
        has = compute_member_shares_value(run, member) + run.get_balance(member.asset, member.address)
    return {
        "name": member.name,
        "pool": member.pool,
        "asset": member.asset,
        "deposit_wad": str(member.deposit),
        "end_wad": str(has),
        "leaves": has_planned_exit(run, member),
        "left_at": run.left.get((member.pool, member.address)),
    }


def _summarise_ledger(run: ScenarioRun, view: KeeperView) -> dict[str, str]:
    types = view.types
    performing = sum(view.get_debts(c).performing for c in types)
    in_auction = sum(view.get_principal_in_auction(c) for c in types)
    buffers = sum(view.get_buffer(c) for c in types)
    deficit = sum(view.get_deficit(c) for c in types)
    settled = view.get_settled_debt()
    gap = (
        view.get_stablecoin_supply() * RAY
        + view.get_reserve()
        + buffers
        - performing
        - in_auction
        - deficit
        - settled
    )
    return {
        "supply_wad": str(view.get_stablecoin_supply()),
        "reserve_rad": str(view.get_reserve()),
        "buffers_rad": str(buffers),
        "performing_rad": str(performing),
        "in_auction_rad": str(in_auction),
        "deficit_rad": str(deficit),
        "settled_rad": str(settled),
        "balance_gap_rad": str(gap),
    }


def _sum_unpaid_losses(run: ScenarioRun, view: KeeperView) -> int:
    """Return the losses that no stage has paid: deficits, and holders' loss in settlement [rad]."""
    return sum(view.get_deficit(c) for c in view.types) + run.recorder.loss_borne_by_holders


def _list_keeper_outages(run: ScenarioRun) -> list[dict[str, Any]]:
    """Return the time spans in which keepers were down, with the keepers' names."""
    spans: dict[tuple[int, int], list[str]] = {}
    for group in run.scenario.keepers:
        for outage in group.outages:
            spans.setdefault((outage.start, outage.end), []).extend(group.list_keeper_names())
    start = run.scenario.start
    return [
        {"from": start + first, "to": start + last, "keepers": names}
        for (first, last), names in sorted(spans.items())
    ]


def hash_state(run: ScenarioRun) -> str:
    """Return the keccak hash of all contract storage, from the chain if the run has one.

    Hashed are sorted lines `contract path key word`, with the word as 64 hex digits. Zero words are left out.
    """
    from backstop.hosts import storage_layout
    from backstop.hosts.world_storage_json import format_table_key

    both = run.session.both
    if both is not None and run.error is None:
        words = both.chain.host.read_slots(both.chain.slots)
        entries = [
            (place.contract, place.path, place.key, word)
            for place, word in zip(both.chain.places, words, strict=True)
        ]
    else:
        entries = [
            (name, path, key, storage_layout.encode_word(value))
            for name, tables in run.session.model.snapshot().items()
            for path, table in tables.items()
            for key, value in table.items()
        ]
    lines = sorted(
        f"{contract} {path} {format_table_key(key)} {word:064x}\n"
        for contract, path, key, word in entries
        if word
    )
    return "0x" + keccak("".join(lines).encode()).hex()
