"""Effects of a proposal: current parameters against others, on the same paths.

A sentence, a frame of figures for each collateral type, each change alone, and other worlds in which the
answer should still hold. Where the paths do not tell, the answer says that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backstop.errors import BackstopError
from backstop.model.arithmetic import BASIS_POINTS
from backstop.simulation.scenario import Scenario
from backstop.simulation.scenario.parameter_misfit_refusal import BrokenRuleError, describe_short_steps
from backstop.simulation.scenario.scenario_library import read_unchecked_scenario_fields
from backstop.simulation.scenario.scenario_loader import parse_scenario
from backstop.studies.borrow_usage import (
    REVENUE,
    BorrowUsage,
    choose_measure,
    describe_measure,
    find_efficient,
    measure_borrow_usage,
)
from backstop.studies.borrower_response import (
    RESPONSES,
    STILL,
    ComparedBooks,
    build_response_books,
    keep_shared_vaults,
)
from backstop.studies.data_frames import build_frame
from backstop.studies.plain_scenario_values import has_equal_sections
from backstop.studies.risk_questions.assumption_cases import REACTING_OWNERS, build_scenario_changes_by_name
from backstop.studies.risk_questions.liquidations_at_price_drop import falls
from backstop.studies.risk_questions.path_runner import (
    LEVEL,
    PATHS,
    PathRunner,
    get_column,
    load_with_changes,
    parse_basis_points,
    read_changed_document,
)
from backstop.studies.stress.columns import Rows
from backstop.studies.stress.paired_difference import CANNOT_TELL, SAME, Difference, compare_paired
from backstop.studies.stress.parameter_grid import BOOK, read_field_text_or_empty
from backstop.studies.stress.parameter_sweep import measure_book_debt_or_capital_efficiency
from backstop.studies.stress.path_statistics import Sample, estimate_shortfall
from backstop.studies.stress.stress_summary import convert_estimate_to_integers

if TYPE_CHECKING:
    import pandas as pd

MICRO = 10**6
OTHER_PATHS = "other paths (the next seed)"


@dataclass(frozen=True)
class Proposal:
    """Answer to a proposal: figures now and as proposed, with the verdict in words.

    `figures`, `alone` and `sensitivity` are tables with the same columns for a figure. `usage` has a row for
    each setting: its debt and revenue, its expected shortfall, and whether it is efficient.
    """

    title: str
    changes: Mapping[str, str]
    before: Mapping[str, str]  # what the file says of these fields now; nothing where it does not
    sentence: str
    besides: tuple[str, ...]  # what the sentence about all of it does not show: its types, other worlds
    verdict: str  # of the expected shortfall of all bad debt
    figures: pd.DataFrame
    alone: pd.DataFrame
    sensitivity: pd.DataFrame
    usage: pd.DataFrame
    measure: str  # what stands against shortfall in `usage`: revenue or debt
    measure_says: str  # that in a sentence
    owners: str  # one of RESPONSES
    efficiency: tuple[int, int]  # bps that may be drawn against collateral, now and proposed
    unsafe_wad: tuple[int, int]  # debt that is unsafe at the first prices, now and proposed
    assumptions: tuple[str, ...]
    facts: tuple[str, ...]
    paths: int
    seed: int
    engine: str
    level: int


def proposal(
    scenario: str | Path | Scenario,
    changes: Mapping[str, str] | str | Path,
    paths: int = PATHS,
    *,
    level: int | str = LEVEL,
    owners: str = STILL,
    sensitivity: bool = True,
    seed: int = 1,
    engine: str = "fast",
    workers: int = 1,
    runner: PathRunner | None = None,
) -> Proposal:
    """Compare a scenario with one in which some fields have other values, on the same paths.

    - `scenario`: name, file or Scenario.
    - `changes`: new texts of fields by their dotted paths in the file
      (`parameters.collateral_types.WETH.liquidation_ratio`), or another scenario's file.
    - `level`: level of the expected shortfall, for example "95%" or 9500 (basis points).
    - `owners`: response of vault owners to other ratios: "still", "distance" or "leverage"
      (docs/reference/sweep-grids.md#responses-of-owners).
    - `sensitivity`: whether the comparison is repeated under other assumptions.
    - `paths`, `seed`: number of paths, and the seed of all draws.
    - `engine`: "fast", "exact" (contracts and model) or "model".
    - `workers`: number of processes.
    - `runner`: PathRunner to use instead of `paths`, `seed`, `engine` and `workers`.

    The result has these fields:

    - `sentence`, `verdict`, `besides`: the answer in words, and remarks.
    - `figures`: table with `figure`, `of` (a type or "all"), `now_micro`, `proposed_micro`,
      `change_micro` with its 95% interval (`change_low_micro`, `change_high_micro`), and `verdict`.
    - `alone`: the same for the shortfall under each change alone, with `change` and `value`.
    - `sensitivity`: the same under other assumptions, with `world` (the assumption).
    - `usage`: table with `setting`, `debt_wad`, `of_ceiling_bps`, `revenue_wad` if known,
      `shortfall_micro` with its interval, and `efficient`.
    - `measure`, `measure_says`: the measure that `usage` compares with the shortfall ("revenue" or
      "debt"), and a sentence on it.
    - `efficiency`, `unsafe_wad`: debt that collateral allows [bps], and debt that is unsafe at the first
      prices, both as (now, proposed).
    - `title`, `changes`, `before`, `owners`, `assumptions`, `facts`, `paths`, `seed`, `engine`, `level`:
      the input, and the present values of the changed fields.

    Raises BackstopError for a proposal that breaks a rule of parameters, and for too few paths.
    """
    if owners not in RESPONSES:
        raise BackstopError(f"owners: {owners!r} is not one of: {', '.join(RESPONSES)}")
    run = runner or PathRunner(paths, seed, engine, workers)
    level = parse_basis_points(level, "level")
    run.need_tail(level)
    fields = dict(changes) if isinstance(changes, Mapping) else {}
    if isinstance(changes, Mapping) and not changes:
        raise BackstopError("nothing is proposed: change at least one field")
    now = load_with_changes(scenario)
    file = scenario.source if isinstance(scenario, Scenario) else scenario
    has_own_book = _changes_book(scenario, changes)
    if has_own_book and owners != STILL:
        raise BackstopError(
            f"the proposal changes `{BOOK}`, and so do owners who respond: take that out, or set owners to "
            f"{STILL}"
        )
    try:
        proposed = (
            load_with_changes(scenario, fields, with_book=owners == STILL)
            if isinstance(changes, Mapping)
            else parse_scenario(
                *read_unchecked_scenario_fields(changes), drops_opening_state=True, with_book=owners == STILL
            )
        )
    except BrokenRuleError as error:
        where = "" if fields else f"{error.place}: "
        raise BackstopError(f"{where}the proposal is refused, it breaks the rule {error.finding}") from None
    if proposed.symbols != now.symbols:
        raise BackstopError(
            f"the proposal has the types {', '.join(proposed.symbols)}, and now there are "
            f"{', '.join(now.symbols)}: types are compared one by one"
        )
    alone, refused = _build_single_changes(scenario, fields, with_book=owners == STILL)
    settings = [now, proposed, *alone.values()]
    if owners != STILL:
        books = build_response_books(now, settings, owners, run.seed)
    else:
        books = ComparedBooks(tuple(settings)) if has_own_book else keep_shared_vaults(settings)
    now, proposed, *others_alone = books.scenarios
    alone = dict(zip(alone, others_alone, strict=True))
    others = build_scenario_changes_by_name() if sensitivity else {}
    pairs = {name: (change(now), change(proposed)) for name, change in others.items()}
    pairs = {name: pair for name, pair in pairs.items() if pair[0] != now}
    if any(each.owners is None for each in pairs.get(REACTING_OWNERS, ())):
        del pairs[REACTING_OWNERS]  # an hour is a whole number of blocks now, and not as proposed
    seeds = [run.seed] * (2 + len(alone) + 2 * len(pairs))
    if sensitivity:
        pairs[OTHER_PATHS] = now, proposed
        seeds += [run.seed + 1] * 2
    days = [now, proposed, *alone.values(), *(each for pair in pairs.values() for each in pair)]
    rows = run.run_outcomes(days, seeds)
    base, then = rows[:2]
    part = level / BASIS_POINTS
    figures = _build_figure_rows(now, proposed, base, then, part)
    of_alone = []
    for (name, day), each in zip(alone.items(), rows[2:], strict=False):
        row = _build_row(_compare_total_bad_debt(now, day, base, each, part), "shortfall", "all")
        of_alone.append({"change": name, "value": fields[name], **row})
    found = []
    for i, (name, (one, other)) in enumerate(pairs.items()):
        first, second = rows[2 + len(alone) + 2 * i :][:2]
        found.append(
            {"world": name}
            | _build_row(_compare_total_bad_debt(one, other, first, second, part), "shortfall", "all")
        )
    whole = _compare_total_bad_debt(now, proposed, base, then, part)
    usages = [measure_borrow_usage(day, run.seed) for day in books.scenarios]
    still = _describe_still_types(books.scenarios, usages)
    names = ["now", "proposed", *(f"{name}={fields[name]}" for name in alone)]
    losses = [get_column(day, each, "bad_debt") for day, each in zip(books.scenarios, rows, strict=False)]
    usage = _build_usage_rows(names, usages, losses, part, is_still=bool(still))
    steps = (line for day in books.scenarios[:2] for line in describe_short_steps(day))
    return Proposal(
        title=now.title,
        changes=fields or {"file": str(changes)},
        before={
            name: read_field_text_or_empty(read_unchecked_scenario_fields(file)[0], name) for name in fields
        },
        sentence=_write_shortfall_change_sentence(whole, level, run.paths),
        besides=(
            *_iter_remarks(figures, found, whole.verdict),
            *refused,
            *still,
            *dict.fromkeys(steps),
        ),
        verdict=whole.verdict,
        figures=build_frame(figures),
        alone=build_frame(of_alone),
        sensitivity=build_frame(found),
        usage=build_frame(usage),
        measure=choose_measure(usages),
        measure_says=describe_measure(usages),
        owners=owners,
        efficiency=(
            measure_book_debt_or_capital_efficiency("efficiency", now, usages[0]),
            measure_book_debt_or_capital_efficiency("efficiency", proposed, usages[1]),
        ),
        unsafe_wad=(
            _compute_unsafe_debt_at_first_prices(now, run.seed),
            _compute_unsafe_debt_at_first_prices(proposed, run.seed),
        ),
        assumptions=(*_list_assumptions(now, proposed), *books.remarks),
        facts=tuple(f"{fact.statement} ({fact.source})" for fact in now.facts),
        paths=run.paths,
        seed=run.seed,
        engine=run.engine,
        level=level,
    )


def _changes_book(scenario: str | Path | Scenario, changes: Mapping[str, str] | str | Path) -> bool:
    """Return whether a proposal changes the scenario's vaults."""
    if isinstance(changes, Mapping):
        return any(name.split(".")[0] == BOOK for name in changes)
    if isinstance(scenario, Scenario) and not scenario.source:
        return True
    return not has_equal_sections(
        read_changed_document(scenario, {})[0], read_unchecked_scenario_fields(changes)[0], BOOK
    )


def _build_single_changes(
    scenario: str | Path | Scenario, fields: Mapping[str, str], *, with_book: bool
) -> tuple[dict[str, Scenario], list[str]]:
    """Return the scenario with each of several changes alone, and remarks on refused changes.

    Changes that need another change to be valid are left out.
    """
    found, refused = {}, []
    for name, value in fields.items() if len(fields) > 1 else ():
        try:
            found[name] = load_with_changes(scenario, {name: value}, with_book=with_book)
        except BrokenRuleError as error:
            refused.append(f"Alone, {name}={value} is refused, it breaks the rule {error.finding}")
        except BackstopError:
            continue
    return found, refused


def _describe_still_types(days: Sequence[Scenario], usages: Sequence[BorrowUsage]) -> list[str]:
    """Return a sentence on types with a changed ratio and unchanged vaults; empty if none."""
    types = [day.parameters.collateral_types for day in days[:2]]
    still = [
        one.symbol
        for i, (one, other) in enumerate(zip(*types, strict=True))
        if (one.liquidation_ratio, one.initial_ratio) != (other.liquidation_ratio, other.initial_ratio)
        and usages[0].debts[i] == usages[1].debts[i] > 0
        and usages[0].locked[i] == usages[1].locked[i]
    ]
    if not still:
        return []
    return [
        f"The ratio of {', '.join(still)} changes and the book stands still: the same owners hold as much "
        "collateral, so that a lower ratio only looks safer, and a higher one riskier. Let owners respond "
        "(--owners distance)."
    ]


def _build_usage_rows(
    names: Sequence[str],
    usages: Sequence[BorrowUsage],
    losses: Sequence[Sample],
    level: float,
    *,
    is_still: bool,
) -> list[dict[str, Any]]:
    """Return a row for each setting: debt, revenue, expected shortfall, and efficiency.

    No setting is marked as efficient if `is_still`: the ratios change while the vaults stay the same.
    """
    tails = [estimate_shortfall(lost, level) for lost in losses]
    marks = find_efficient(usages, [round(tail.value) for tail in tails])
    rows = []
    for name, used, tail, is_efficient in zip(names, usages, tails, marks, strict=True):
        row: dict[str, Any] = {"setting": name, "debt_wad": used.debt, "of_ceiling_bps": used.share_bps}
        if choose_measure(usages) == REVENUE:
            row["revenue_wad"] = used.revenue
        figures = convert_estimate_to_integers(tail, "micro")
        row |= {f"shortfall_{end}".replace("_value", ""): each for end, each in figures.items()}
        rows.append(row | {"efficient": "–" if is_still else "yes" if is_efficient else "no"})
    return rows


def _list_assumptions(now: Scenario, proposed: Scenario) -> tuple[str, ...]:
    """Return the assumptions of the present scenario, and those that only the proposal has."""
    other = [line for line in proposed.assumptions if line not in now.assumptions]
    return (*now.assumptions, *(f"Under the proposal: {line}" for line in other))


def _build_figure_rows(
    now: Scenario, proposed: Scenario, current_outcomes: Rows, proposed_outcomes: Rows, level: float
) -> list[dict[str, Any]]:
    """Return rows with means and shortfalls of bad debt by type, and means of other amounts.

    Each row compares the present scenario with the proposal.
    """
    measures = {
        "all": "bad_debt",
        **{symbol: f"bad_debt_{symbol}" for symbol in now.parameters.collateral_and_facilitator_names},
    }
    rows = []
    for of, name in measures.items():
        samples = get_column(now, current_outcomes, name), get_column(proposed, proposed_outcomes, name)
        rows.append(_build_row(compare_paired(*samples, level), "shortfall", of))
        rows.append(_build_row(compare_paired(*samples), "average", of))
    for name in ("liquidated_debt", "outstanding", "unsold"):
        found = compare_paired(
            get_column(now, current_outcomes, name), get_column(proposed, proposed_outcomes, name)
        )
        rows.append(_build_row(found, name.replace("_", " "), "all"))
    return rows


def _compare_total_bad_debt(
    now: Scenario, proposed: Scenario, current_outcomes: Rows, proposed_outcomes: Rows, level: float
) -> Difference:
    return compare_paired(
        get_column(now, current_outcomes, "bad_debt"),
        get_column(proposed, proposed_outcomes, "bad_debt"),
        level,
    )


def _build_row(found: Difference, figure: str, of: str) -> dict[str, Any]:
    """Return a row with a difference in integers, rounded to the nearest."""
    named: dict[str, float | None] = {
        "now": found.now,
        "proposed": found.proposed,
        "change": found.change.value,
    }
    named |= {"change_low": found.change.low, "change_high": found.change.high}
    rounded = {f"{name}_micro": None if each is None else round(each) for name, each in named.items()}
    return {"figure": figure, "of": of} | rounded | {"verdict": found.verdict}


def _compute_unsafe_debt_at_first_prices(day: Scenario, seed: int) -> int:
    """Return the debt that may be liquidated at the first prices [wad]."""
    found = falls(day, [0], seed=seed)
    together = found[found["falling"] == "all"] if len(day.symbols) > 1 else found
    return int(together["debt_wad"].iloc[0])


def _write_shortfall_change_sentence(difference: Difference, level: int, path_count: int) -> str:
    """Return a sentence on the change of the expected shortfall, with its interval."""
    what = f"the expected shortfall of bad debt at {level / 100:g}%"
    from_to = (
        f"from {_format_whole_coins(difference.now)} to "
        f"{_format_whole_coins(difference.proposed)} stablecoins"
    )
    if difference.verdict == SAME:
        return f"The proposal changes the bad debt of none of {path_count:,} paths."
    if difference.verdict == CANNOT_TELL:
        change = difference.change
        if change.low is None or change.high is None:
            return (
                f"The data cannot tell whether the proposal changes {what}: it goes {from_to}, but too few "
                f"of {path_count:,} paths differ."
            )
        return (
            f"The data cannot tell whether the proposal raises or lowers {what}: it goes {from_to}, and a "
            f"change of anything from {_format_whole_coins(change.low)} to "
            f"{_format_whole_coins(change.high)} would fit."
        )
    assert difference.change.low is not None and difference.change.high is not None
    size = sorted((abs(difference.change.low), abs(difference.change.high)))
    does, by = difference.verdict.removesuffix(" it"), _format_whole_coins(abs(difference.change.value))
    between = f"{_format_whole_coins(size[0])} to {_format_whole_coins(size[1])} with 95%"
    return f"The proposal {does} {what} {from_to}: by {by} ({between})."


def _iter_remarks(
    figures: Sequence[Mapping[str, Any]], worlds: Sequence[Mapping[str, Any]], verdict: str
) -> Iterator[str]:
    """Yield a sentence on the verdicts by type, and one on other assumptions with another verdict."""
    types = [row for row in figures if row["figure"] == "shortfall" and row["of"] != "all"]
    found: dict[str, list[str]] = {}
    for row in types:
        found.setdefault(row["verdict"], []).append(row["of"])
    if len(types) > 1:
        said = "; ".join(
            f"{_format_verdict_preceding_type_names(each)} {', '.join(symbols)}"
            for each, symbols in found.items()
        )
        yield f"By type: {said}."
    if worlds:
        others = [row for row in worlds if row["verdict"] != verdict]
        line = f"The answer is the same in {len(worlds) - len(others)} of {len(worlds)} other worlds"
        not_there = "; ".join(f"{row['world']}: {row['verdict']}" for row in others)
        yield f"{line}{f' ({not_there})' if others else ''}."


def _format_verdict_preceding_type_names(verdict: str) -> str:
    """Return a verdict in words that names of types can follow."""
    return {CANNOT_TELL: f"{CANNOT_TELL} for", SAME: f"{SAME} for"}.get(
        verdict, f"{verdict.removesuffix(' it')} that of"
    )


def _format_whole_coins(micro: float) -> str:
    return f"{round(micro / MICRO):,}"
