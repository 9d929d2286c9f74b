"""How much of the debt, and of the losses, is that of the largest owners."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backstop.deployment.role_accounts import get_account
from backstop.errors import BackstopError
from backstop.model.arithmetic import BASIS_POINTS
from backstop.simulation.deployment_session import open_deployment_session
from backstop.simulation.scenario import Scenario, draw_scenario
from backstop.simulation.scenario.scenario_records import Vault
from backstop.simulation.simulator import Simulation
from backstop.studies.data_frames import build_frame
from backstop.studies.risk_questions.path_runner import PATHS, PathRunner, build_vaults, load_with_changes
from backstop.studies.stress.columns import OutcomeColumns
from backstop.studies.stress.stress_summary import worst_paths

if TYPE_CHECKING:
    import pandas as pd

OTHERS = "all others"
LATER = "opened later"
"""Vaults that keepers opened on the way, which the book does not have."""

WORST = 5
"""Worst paths that are run on the model, unless so many others are asked for."""


def owners(
    scenario: str | Path | Scenario,
    paths: int = PATHS,
    *,
    largest: int = 10,
    worst: int = WORST,
    by: str = "debt",
    seed: int = 1,
    engine: str = "fast",
    workers: int = 1,
    runner: PathRunner | None = None,
) -> pd.DataFrame:
    """Return the shares of debt and of losses that the largest owners have.

    The worst paths are run again on the model, which gives the loss of each owner's auctions to the rad.
    Collateral that is unsold at a path's end is lost, as in the column `bad_debt` of outcomes. Vaults of one
    owner that were opened under numbered names (`anna/2`) belong to that owner.

    - `scenario`: name, file or Scenario.
    - `largest`: number of owners to list.
    - `worst`: number of worst paths to run again.
    - `by`: "debt" for the owners with most debt, "lost" for those with most losses.
    - `paths`, `seed`: number of paths, and the seed of all draws.
    - `engine`: "fast", "exact" (contracts and model) or "model".
    - `workers`: number of processes.
    - `runner`: PathRunner to use instead of `paths`, `seed`, `engine` and `workers`.

    The table has a row for each listed owner, and one for all others. A vault that a keeper opened on a path
    counts for the owner "opened later". The columns are:

    - `owner`, `vaults`: name, and number of vaults.
    - `debt_wad`, `debt_share_bps`, `debt_so_far_bps`: debt, its share, and the share of this and all
      earlier rows.
    - `lost_rad`, `lost_share_bps`, `lost_so_far_bps`: the same for the losses on the worst paths.

    Shares are rounded down. Raises BackstopError for an unknown `by`, and for numbers below 1.
    """
    if largest < 1 or worst < 1:
        raise BackstopError("at least one owner and one path are needed")
    if by not in ("debt", "lost"):
        raise BackstopError(f"by: {by!r} is not one of: debt, lost")
    run = runner or PathRunner(paths, seed, engine, workers)
    day = load_with_changes(scenario)
    (outcomes,) = run.run_outcomes([day])
    vaults = [vault for vault in build_vaults(day, run.seed) if vault.debt]
    owed, counts = sum_owner_debts(vaults)
    names = {vault.owner for vault in vaults}
    of = {get_account(name): find_owner_of_numbered_vault(name, names) for name in names}
    lost = dict.fromkeys(owed, 0)
    for path in worst_paths(OutcomeColumns.from_parameters(day.parameters), outcomes, worst):
        for address, amount in _iter_vault_losses_by_owner(day, run.seed, path):
            if amount:
                owner = of.get(address, LATER)
                lost[owner] = lost.get(owner, 0) + amount
    if LATER in lost:
        owed[LATER] = counts[LATER] = 0
    return build_frame(_build_owner_rows(owed, counts, lost, largest, lost if by == "lost" else owed))


def sum_owner_debts(vaults: Sequence[Vault]) -> tuple[dict[str, int], dict[str, int]]:
    """Return the debt of each owner [wad], and the number of the owner's vaults."""
    names = {vault.owner for vault in vaults}
    owed: dict[str, int] = {}
    counts: dict[str, int] = {}
    for vault in vaults:
        owner = find_owner_of_numbered_vault(vault.owner, names)
        owed[owner] = owed.get(owner, 0) + vault.debt
        counts[owner] = counts.get(owner, 0) + 1
    return owed, counts


def list_largest_debtors(
    owed: Mapping[str, int], counts: Mapping[str, int], largest: int = 10
) -> list[dict[str, Any]]:
    """Return a row for each of the `largest` owners by debt, and one for all other owners.

    Shares are rounded down. `owed` and `counts` are the results of `sum_owner_debts`.
    """
    rows = _build_owner_rows(owed, counts, dict.fromkeys(owed, 0), largest, owed)
    return [{name: cell for name, cell in row.items() if not name.startswith("lost_")} for row in rows]


def _iter_vault_losses_by_owner(day: Scenario, seed: int, path: int) -> Iterator[tuple[str, int]]:
    """Yield (owner's address, loss) of vaults on a path [rad].

    Principal in auctions at the path's end is lost, and so is debt beyond its collateral's worth.
    """
    chosen = draw_scenario(day, seed, path)
    with open_deployment_session(chosen, "model", seed) as session:
        run = Simulation(chosen, session, seed)
        run.run_scenario(lambda done, total, text: None, lambda: False, runs_until_sold=True)
        view, seen = run.build_keeper_view(), run.recorder.auctions
        # What settlement unwinds goes back to its vault, which owes it again.
        yield from ((each.owner, each.lost) for each in seen.values() if each.ended_by != "unwound")
        yield from ((seen[each.id].owner, each.principal) for each in view.auctions)
        prices = view.outside.prices
        for each in view.workouts:
            under = each.principal - each.lot * prices[each.collateral_type]
            yield each.owner, max(0, under)
        for c, price in enumerate(prices):
            yield from (
                (each.owner, max(0, each.debt - each.locked * price))
                for each in view.list_vaults_with_debt(c)
            )


def find_owner_of_numbered_vault(vault_name: str, owner_names: set[str]) -> str:
    """Return the owner of a vault: `anna` for the vault `anna/2` if `anna` is an owner.

    Other names are returned unchanged.
    """
    base, slash, number = vault_name.rpartition("/")
    return base if slash and number.isdigit() and base in owner_names else vault_name


def _build_owner_rows(
    owed: Mapping[str, int],
    counts: Mapping[str, int],
    lost: Mapping[str, int],
    largest: int,
    ranking_amounts: Mapping[str, int],
) -> list[dict[str, Any]]:
    """Return a row for each of the largest owners, and one for all others.

    Shares are rounded down. `ranking_amounts` decides which owners are the largest.
    """
    whole, gone = sum(owed.values()), sum(lost.values())
    order = sorted(owed, key=lambda owner: (-ranking_amounts[owner], -owed[owner], owner))
    groups = [(owner, [owner]) for owner in order[:largest]]
    if order[largest:]:
        groups.append((OTHERS, order[largest:]))
    rows, sum_of_debt, sum_of_lost = [], 0, 0
    for name, members in groups:
        debt, bad = sum(owed[each] for each in members), sum(lost[each] for each in members)
        sum_of_debt, sum_of_lost = sum_of_debt + debt, sum_of_lost + bad
        rows.append(
            {
                "owner": name,
                "vaults": sum(counts[each] for each in members),
                "debt_wad": debt,
                "debt_share_bps": debt * BASIS_POINTS // whole,
                "debt_so_far_bps": sum_of_debt * BASIS_POINTS // whole,
                "lost_rad": bad,
                "lost_share_bps": bad * BASIS_POINTS // gone if gone else 0,
                "lost_so_far_bps": sum_of_lost * BASIS_POINTS // gone if gone else 0,
            }
        )
    return rows
