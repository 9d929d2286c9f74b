"""Drivers of a study's tail: which assumption makes how much of its expected shortfall.

Each case changes one assumption of the file, and runs on the first of the study's own paths, from the same
seed: prices, outages and full blocks are those of the study, so that each path is its own control and the
difference has an interval (`paired_difference`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backstop.errors import BackstopError
from backstop.model.arithmetic import BASIS_POINTS, WAD
from backstop.simulation.scenario import Scenario
from backstop.simulation.scenario.draw_scenario import set_depths_from_debts
from backstop.simulation.scenario.quantity_units import format_duration_text
from backstop.simulation.scenario.scenario_records import Vault
from backstop.studies.risk_questions.assumption_cases import (
    REACTING_OWNERS,
    STILL_OWNERS,
    build_scenario_changes_by_name,
    find_other_reaction,
)
from backstop.studies.risk_questions.debt_ceiling import compute_safe_collateral
from backstop.studies.risk_questions.largest_owners_debt_and_loss_shares import find_owner_of_numbered_vault
from backstop.studies.risk_questions.path_runner import LEVEL, build_vaults, get_column
from backstop.studies.stress.columns import Rows
from backstop.studies.stress.engines import Task, get_engine
from backstop.studies.stress.paired_difference import CANNOT_TELL, SAME, Difference, compare_paired
from backstop.studies.stress.path_statistics import estimate_shortfall
from backstop.studies.stress.resumable_path_study import Study
from backstop.studies.stress.stress_summary import convert_estimate_to_integers

PATHS = 1_000
"""Most paths that each case runs, the first of the study's."""

BLOCK_TIME = "block-time"
MOST_PARTS = 5
"""Most blocks that take the place of one, as a path costs by its blocks."""

_MICRO = WAD // 10**6
_NAMED = 3  # keepers and types that an advice names


@dataclass(frozen=True)
class DriverCase:
    """Scenario with one changed assumption, and an analyst's advice on the field to measure."""

    key: str
    title: str
    advice: str
    day: Scenario


class MissingAssumptionError(Exception):
    """Error for a case with an assumption that the scenario lacks; its text gives the reason."""


def refuse_opening_state(day: Scenario) -> None:
    """Raise BackstopError if the scenario begins from a recorded state: no case can change its vaults."""
    if day.opening is not None:
        raise BackstopError(
            f"{day.name} begins with a state, whose book no driver changes: give --no-drivers, "
            f"in Python drivers=False"
        )


def build_driver_cases(task: Task) -> tuple[list[DriverCase], list[dict[str, str]]]:
    """Return the cases that each change one assumption of a study.

    The second result lists the cases that the scenario does not allow, with `case` and `why`.
    """
    day = task.scenario
    refuse_opening_state(day)
    day = set_depths_from_debts(day, task.seed)  # a case changes one thing, and depths would follow the book
    found, missing = [], []
    for title, build in _BUILDERS.items():
        if title == _KEPT_DEPTH and not _list_thinning_markets(day):
            continue
        try:
            case = build(day, task)
            get_engine(replace(task, scenario=case.day))
        except (MissingAssumptionError, BackstopError) as error:
            missing.append({"case": title, "why": str(error)})
        else:
            found.append(case)
    return found, missing


def open_driver_studies(task: Task, cases: Sequence[DriverCase], paths: int, folder: Path) -> list[Study]:
    """Create or resume the study of each case, in the subfolder drivers/ of a study's folder."""
    return [
        Study.open_or_resume(replace(task, scenario=each.day), paths, folder / "drivers" / each.key)
        for each in cases
    ]


def estimate_drivers(
    task: Task,
    rows: Rows,
    cases: Sequence[DriverCase],
    outcomes: Sequence[Rows],
    missing: Sequence[Mapping[str, str]] = (),
) -> dict[str, Any]:
    """Estimate how each case changes the expected shortfall of bad debt.

    The result is the summary's part `drivers`. `rows` are outcomes of the study's first paths, `outcomes`
    those of the same paths in each case. Amounts are in millionths of a stablecoin, rounded to the nearest.
    """
    day, part = task.scenario, LEVEL / BASIS_POINTS
    base = get_column(day, rows, "bad_debt")
    vaults = build_vaults(day, task.seed)
    owner, owed = _find_largest_owner(vaults)
    whole = sum(vault.debt for vault in vaults)
    compared = [
        compare_paired(base, get_column(case.day, each, "bad_debt"), part)
        for case, each in zip(cases, outcomes, strict=True)
    ]
    return {
        "paths": len(rows),
        "level_bps": LEVEL,
        "largest_owner": {
            "owner": owner,
            "debt_micro": owed // _MICRO,
            "share_bps": owed * BASIS_POINTS // whole if whole else 0,
        },
        "shortfall": convert_estimate_to_integers(estimate_shortfall(base, part), "micro"),
        "unsold_micro": round(float(get_column(day, rows, "unsold").mean())),
        "cases": [_build_row(*each) for each in zip(cases, compared, outcomes, strict=True)],
        "missing": list(missing),
        "block_time": _compare_shorter_blocks(day, cases, compared),
        "sentence": _write_sentence(cases, compared),
    }


def _build_row(case: DriverCase, found: Difference, rows: Rows) -> dict[str, Any]:
    return {
        "key": case.key,
        "case": case.title,
        "shortfall_micro": round(found.proposed),
        "change": convert_estimate_to_integers(found.change, "micro"),
        "verdict": found.verdict,
        "unsold_micro": round(float(get_column(case.day, rows, "unsold").mean())),
        "advice": case.advice,
    }


def _compare_shorter_blocks(
    day: Scenario, cases: Sequence[DriverCase], compared: Sequence[Difference]
) -> dict[str, Any] | None:
    """Return whether shorter blocks change the shortfall beyond the paths' noise.

    None if shorter blocks were not tried.
    """
    for case, found in zip(cases, compared, strict=True):
        if case.key == BLOCK_TIME:
            return {
                "now_seconds": day.block_time,
                "tried_seconds": case.day.block_time,
                "too_long": found.verdict not in (SAME, CANNOT_TELL),
                "now_micro": round(found.now),
                "tried_micro": round(found.proposed),
                "advice": case.advice,
            }
    return None


def _write_sentence(cases: Sequence[DriverCase], compared: Sequence[Difference]) -> str:
    """Return a sentence on the assumption that changes the shortfall most, with the advice.

    Only changes with a direction that the paths show are considered.
    """
    sure = [
        (abs(found.change.value), -place)
        for place, found in enumerate(compared)
        if found.verdict not in (SAME, CANNOT_TELL)
    ]
    if not sure:
        return "Of no assumption do the paths show that it moves the figure: run more of them."
    place = -max(sure)[1]
    case, found = cases[place], compared[place]
    share = f" ({found.change.value / found.now:+.0%})" if found.now > 0 else ""
    how = case.title if case.title.startswith("without") else f"with {case.title}"
    return f"The expected shortfall changes most {how}{share}: {case.advice}."


# ------------------------------------------------------------------------ cases


def _stop_failures(day: Scenario, task: Task) -> DriverCase:
    failing = [group.name for group in day.keepers if group.fails is not None or group.outages]
    if not failing:
        raise MissingAssumptionError("no keeper fails in the file")
    keepers = tuple(replace(group, fails=None, outages=()) for group in day.keepers)
    fields = _list_names([f"keepers.{name}.fails" for name in failing])
    advice = f"state outages that your keepers have had, in {fields}"
    return DriverCase("keepers", _NEVER_FAIL, advice, replace(day, keepers=keepers))


def _halve_depths(day: Scenario, task: Task) -> DriverCase:
    return DriverCase(
        "half-depth",
        _HALF_DEEP,
        _advise_depth(day),
        build_scenario_changes_by_name()["markets half as deep"](day),
    )


def _double_depths(day: Scenario, task: Task) -> DriverCase:
    markets = {symbol: replace(each, depth=2 * each.depth) for symbol, each in day.markets.items()}
    return DriverCase("twice-depth", _TWICE_DEEP, _advise_depth(day), replace(day, markets=markets))


def _advise_depth(day: Scenario) -> str:
    fields = _list_names([f"markets.{symbol}.depth" for symbol in day.markets])
    return f"measure what sales lose with calibrate --depth, and state {fields}"


def _keep_depths(day: Scenario, task: Task) -> DriverCase:
    thinning = _list_thinning_markets(day)
    fields = _list_names([f"markets.{symbol}.depth_after_fall" for symbol in thinning])
    return DriverCase(
        "kept-depth",
        _KEPT_DEPTH,
        f"measure what falls leave of the depth with calibrate --depth, and state {fields}",
        build_scenario_changes_by_name()[_KEPT_DEPTH](day),
    )


def _list_thinning_markets(day: Scenario) -> list[str]:
    """Return the types with a market depth that falls with the price."""
    return [symbol for symbol, market in day.markets.items() if market.depth_after_fall is not None]


def _slow_recoveries(day: Scenario, task: Task) -> DriverCase:
    fields = _list_names([f"markets.{symbol}.recovery" for symbol in day.markets])
    return DriverCase(
        "slow-recovery",
        _SLOW_RECOVERY,
        f"measure how fast depth comes back with calibrate --depth, and state {fields}",
        build_scenario_changes_by_name()[_SLOW_RECOVERY](day),
    )


def _change_reaction(day: Scenario, task: Task) -> DriverCase:
    """Return the case with reacting owners, or with idle owners if the file's owners react."""
    found = find_other_reaction(day)
    if found is None:
        raise MissingAssumptionError(
            f"an hour is not a whole number of blocks of {format_duration_text(day.block_time)}"
        )
    title, changed = found
    advice = {
        STILL_OWNERS: "measure how owners react with fit-owners, and state owners",
        REACTING_OWNERS: "measure how yours react with fit-owners, and state owners (these are of one week "
        "of one book)",
    }[title]
    return DriverCase("owners", title, advice, changed)


def _enlarge_moves(day: Scenario, task: Task) -> DriverCase:
    wilder = build_scenario_changes_by_name()["moves half as large again"](day)
    if wilder == day:
        raise MissingAssumptionError("no price is drawn from a model")
    paths = day.asset_prices or day.prices
    drawn = [name for name, path in paths.items() if path.model is not None]
    fields = _list_names([f"prices.{name}.model" for name in drawn])
    advice = f"measure the law of prices with calibrate --prices, and state {fields}"
    return DriverCase("moves", _LARGER_MOVES, advice, wilder)


def _shorten_blocks(day: Scenario, task: Task) -> DriverCase:
    """Return the case with shorter blocks on the same price paths.

    Prices stay at the ends of the study's blocks. The gas of a block shrinks too, so that as much gas fits
    into an hour as before.
    """
    now = day.block_time
    parts = next((each for each in range(2, MOST_PARTS + 1) if now % each == 0), 0)
    if not parts:
        raise MissingAssumptionError(
            f"blocks of {format_duration_text(now)} do not divide into 2 to {MOST_PARTS} of whole seconds"
        )
    tried = now // parts
    shorter = replace(
        day,
        block_time=tried,
        price_interval=now,
        block_gas=day.block_gas // parts,
        parameters=replace(day.parameters, block_time=tried) if day.parameters.block_time else day.parameters,
    )
    gas = f"congestion.block_gas: {shorter.block_gas} gas"
    title = _SHORT_BLOCKS if parts == 2 else f"blocks of {tried} s, not {now} s"
    return DriverCase(BLOCK_TIME, title, f"set block_time: {tried} s and {gas}", shorter)


def _secure_largest_owner(day: Scenario, task: Task) -> DriverCase:
    """Return the case in which the largest owner's debt is practically safe.

    The debt itself stays, as pools and keepers hold a part of its stablecoins.
    """
    vaults = build_vaults(day, task.seed)
    owner, owed = _find_largest_owner(vaults)
    if not owed:
        raise MissingAssumptionError("no vault has debt")
    names = {vault.owner for vault in vaults}
    book = tuple(
        replace(vault, locked=max(vault.locked, compute_safe_collateral(day, vault.symbol, vault.debt)))
        if find_owner_of_numbered_vault(vault.owner, names) == owner
        else vault
        for vault in vaults
    )
    share = owed / sum(vault.debt for vault in vaults)
    advice = f"check the position of {owner}, {share:.0%} of the debt, in vault_book"
    secured = replace(day, vaults=book, generated={}, book_total=0)
    return DriverCase("largest-owner", _NO_LARGEST, advice, secured)


def _find_largest_owner(vaults: Sequence[Vault]) -> tuple[str, int]:
    """Return the owner with most debt, and that debt [wad]; of equal debts, the first name."""
    names, owed = {vault.owner for vault in vaults}, dict[str, int]()
    for vault in vaults:
        owner = find_owner_of_numbered_vault(vault.owner, names)
        owed[owner] = owed.get(owner, 0) + vault.debt
    return min(owed.items(), key=lambda each: (-each[1], each[0]), default=("", 0))


def _list_names(names: Sequence[str]) -> str:
    """Return the first three names as text, and the number of the remaining names."""
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")


_NEVER_FAIL = "keepers that never fail"
_HALF_DEEP = "markets half as deep"
_TWICE_DEEP = "markets twice as deep"
_KEPT_DEPTH = "markets that keep their depth"
_SLOW_RECOVERY = "markets that recover half as fast"
_LARGER_MOVES = "moves half as large again"
_SHORT_BLOCKS = "blocks half as long"
_NO_LARGEST = "without the largest owner"

_BUILDERS: Mapping[str, Callable[[Scenario, Task], DriverCase]] = {
    _NEVER_FAIL: _stop_failures,
    _HALF_DEEP: _halve_depths,
    _TWICE_DEEP: _double_depths,
    _KEPT_DEPTH: _keep_depths,
    _SLOW_RECOVERY: _slow_recoveries,
    REACTING_OWNERS: _change_reaction,
    _LARGER_MOVES: _enlarge_moves,
    _SHORT_BLOCKS: _shorten_blocks,
    _NO_LARGEST: _secure_largest_owner,
}
