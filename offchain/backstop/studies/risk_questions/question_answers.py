"""Answers by the question's name, as documents: tables of rows, and their results in sentences.

Amounts in wad and rad are text there, as in every JSON file of this program; all others are integers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from backstop.errors import BackstopError
from backstop.simulation.loss_bearers import NOBODY
from backstop.simulation.scenario.episode_overlay import MOVES, load_episode
from backstop.simulation.scenario.scenario_library import join_episode
from backstop.studies.assumption_record import compare_assumptions, list_assumptions
from backstop.studies.data_frames import list_records
from backstop.studies.risk_questions.assumption_cases import find_other_reaction
from backstop.studies.risk_questions.bad_debt_at_risk import at_risk
from backstop.studies.risk_questions.debt_ceiling import ceiling
from backstop.studies.risk_questions.episode_outcomes import REACTING, STILL, compare_episodes
from backstop.studies.risk_questions.history_comparison import history
from backstop.studies.risk_questions.largest_owners_debt_and_loss_shares import OTHERS, owners
from backstop.studies.risk_questions.liquidations_at_price_drop import FALLS, falls
from backstop.studies.risk_questions.path_runner import PathRunner, load_with_changes
from backstop.studies.risk_questions.payers_by_system import payers
from backstop.studies.risk_questions.proposal import proposal

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION = 1


def answer_question(
    question: str, scenario: str, run: PathRunner, options: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the content of summary.json: the tables and sentences that answer a question.

    `question` is a key of QUESTIONS.
    """
    tables, more = QUESTIONS[question](scenario, run, options)
    return {
        "schema_version": SCHEMA_VERSION,
        "question": question,
        "scenario": scenario,
        "seed": run.seed,
        "engine": run.engine,
        "paths": 0 if question == "falls" else run.paths,
        "columns": {name: list(frame.columns) for name, frame in tables.items()},
        "tables": {name: list_records(frame) for name, frame in tables.items()},
        **more,
    }


def list_question_assumptions(
    scenario: str, question: str, run: PathRunner, options: Mapping[str, Any]
) -> dict[str, str]:
    """Return the assumptions of an answer by name.

    They are those of the scenario, of the run's options and of the proposal.
    """
    now = list_assumptions(load_with_changes(scenario), run.seed)
    found = now | {"study.question": question, "study.seed": str(run.seed)}
    if question != "falls":
        found |= {"study.engine": run.engine, "study.paths": str(run.paths)}
    for name, value in options.items():
        if name == "level":
            found["study.level"] = _format_percent(value)
        elif name not in ("changes", "proposed") and not (value is None or value is False or value == {}):
            said = [f"{key}={each}" for key, each in value.items()] if isinstance(value, dict) else value
            found[f"study.{name}"] = ", ".join(map(str, said)) if isinstance(said, list) else str(said)
    if options.get("changes"):
        proposed = load_with_changes(scenario, options["changes"])
    elif options.get("proposed") is not None:
        proposed = load_with_changes(options["proposed"])
    else:
        return found
    changed = compare_assumptions(now, list_assumptions(proposed, run.seed))
    return found | {f"proposed.{name}": value for name, _, value in changed}


Answer = tuple[dict[str, "pd.DataFrame"], dict[str, Any]]


def _answer_at_risk(scenario: str, run: PathRunner, options: Mapping[str, Any]) -> Answer:
    frame = at_risk(scenario, runner=run)
    sentence = _describe_risk(f"{{}} of {run.paths:,} paths", frame)
    other = find_other_reaction(load_with_changes(scenario))
    if other is None:
        return {"at-risk": frame}, {"sentence": sentence, "besides": []}
    case, day = other
    line = _describe_risk(f"With {case}, on the same paths: {{}}", at_risk(day, runner=run))
    return {"at-risk": frame}, {"sentence": sentence, "besides": [line]}


def _describe_risk(opening: str, frame: pd.DataFrame) -> str:
    """Return a sentence on chance, mean and expected shortfall at 95% of all bad debt.

    The chance takes the place of `{}` in `opening`.
    """
    first = frame.iloc[0]
    return (
        f"{opening.format(_format_percent(first['chance_bps']))} have bad debt, "
        f"{_format_whole_coins(first['mean_micro'])} stablecoins on average; in the worst 5%, "
        f"{_format_whole_coins(first['shortfall_micro'])}."
    )


def _answer_liquidations_at_price_falls(scenario: str, run: PathRunner, options: Mapping[str, Any]) -> Answer:
    of = [100 * each for each in options["falls"]] or FALLS
    frame = falls(scenario, of, seed=run.seed)
    last = frame.iloc[-1]
    line = (
        f"If {'all prices' if last['falling'] == 'all' else last['falling']} fell by "
        f"{_format_percent(last['fall_bps'])}, "
        f"{_format_percent(last['debt_share_bps'])} of the debt could be liquidated, "
        f"and collateral would be worth {last['missing_wad'] // 10**18:,} stablecoins too little."
    )
    return {"falls": frame}, {"sentence": line}


def _answer_proposal(scenario: str, run: PathRunner, options: Mapping[str, Any]) -> Answer:
    changes, file = options["changes"], options["proposed"]
    if bool(changes) == (file is not None):
        raise BackstopError("a proposal is either fields that change (--set) or another file (--proposed)")
    found = proposal(scenario, changes or file, level=options["level"], owners=options["owners"], runner=run)
    named = {"figures": found.figures, "usage": found.usage, "alone": found.alone}
    named["sensitivity"] = found.sensitivity
    return named, {
        "title": found.title,
        "sentence": found.sentence,
        "verdict": found.verdict,
        "besides": list(found.besides),
        "changes": [
            {"field": name, "before": found.before.get(name, ""), "value": value}
            for name, value in found.changes.items()
        ],
        "level_bps": found.level,
        "owners": found.owners,
        "measure": found.measure,
        "measure_says": found.measure_says,
        "efficiency": {"now_bps": found.efficiency[0], "proposed_bps": found.efficiency[1]},
        "unsafe": {"now_wad": str(found.unsafe_wad[0]), "proposed_wad": str(found.unsafe_wad[1])},
        "assumptions": list(found.assumptions),
        "facts": list(found.facts),
    }


def _answer_payers(scenario: str, run: PathRunner, options: Mapping[str, Any]) -> Answer:
    frame = payers(scenario, options["presets"], runner=run)
    most = frame.loc[frame.groupby("preset", sort=False)["share_bps"].idxmax()]
    shares = [
        f"{preset}: {NOBODY if payer == 'holders' else payer} ({_format_percent(share)})"
        for preset, payer, share in zip(most["preset"], most["payer"], most["share_bps"], strict=True)
        if share
    ]
    line = f"Largest payer, {'; '.join(shares)}." if shares else "No path had any bad debt."
    return {"payers": frame}, {"sentence": line}


def _answer_largest_owners_share(scenario: str, run: PathRunner, options: Mapping[str, Any]) -> Answer:
    frame = owners(scenario, largest=options["largest"], worst=options["worst"], by=options["by"], runner=run)
    named = frame[frame["owner"] != OTHERS]
    last = named.iloc[-1]
    who = "largest owners owe" if options["by"] == "debt" else "owners who lose most owe"
    owed, lost = _format_percent(last["debt_so_far_bps"]), _format_percent(last["lost_so_far_bps"])
    line = (
        f"The {len(named)} {who} {owed} of the debt, and {lost} of what is lost on the "
        f"{options['worst']} worst of {run.paths:,} paths is theirs. `lost` is the bad debt that an owner's "
        f"vaults leave, summed over these paths."
    )
    return {"owners": frame}, {"sentence": line}


def _answer_ceiling(scenario: str, run: PathRunner, options: Mapping[str, Any]) -> Answer:
    symbol, limit = options["symbol"], options["limit"]
    if symbol is None or limit is None:
        raise BackstopError("a ceiling is of a type (--symbol) for a risk in stablecoins (--limit)")
    found = ceiling(scenario, symbol, limit, level=options["level"], runner=run)
    if found.likely is None:
        line = f"No ceiling of {symbol} keeps the expected shortfall to {limit:,} stablecoins."
    else:
        sure = "none surely" if found.sure is None else f"surely up to {found.sure:,}"
        over = "" if found.over is None else f", surely not from {found.over:,} on"
        line = (
            f"{symbol} may owe {found.likely:,} stablecoins for an expected shortfall of {limit:,} at "
            f"{_format_percent(options['level'])}: {sure}{over}."
        )
    figures = {"sure": found.sure, "likely": found.likely, "over": found.over}
    return {"ceiling": found.probes}, {"sentence": line, "stablecoins": figures}


def _answer_history(scenario: str, run: PathRunner, options: Mapping[str, Any]) -> Answer:
    if not options["events"]:
        raise BackstopError("a history is compared with what happened: give a file of it (--events)")
    said = {name: options[name] for name in EVENT_OPTIONS}
    found = history(scenario, options["events"], symbol=options["symbol"], runner=run, **said)
    tables = {"history": found.figures, "days": found.days, "vaults": found.vaults}
    return tables, {"sentence": found.sentence, "besides": list(found.besides)}


def _answer_episodes(scenario: str, run: PathRunner, options: Mapping[str, Any]) -> Answer:
    frame = compare_episodes(scenario, runner=run)
    worst = frame.loc[frame[frame["case"] == STILL]["bad_debt_micro"].idxmax()]
    reacting = frame[(frame["case"] == REACTING) & (frame["episode"] == worst["episode"])].iloc[0]
    if not worst["bad_debt_micro"]:
        line = "No episode leaves bad debt to a book that stands still."
    else:
        line = (
            f"{worst['episode']} costs most: {_format_whole_coins(worst['bad_debt_micro'])} stablecoins of "
            f"bad debt on average, {_format_whole_coins(reacting['bad_debt_micro'])} with owners who react."
        )
    besides = [_describe_episode(scenario, name) for name in dict.fromkeys(frame["episode"])]
    return {"episodes": frame}, {"sentence": line, "besides": besides}


def _describe_episode(scenario: str, name: str) -> str:
    """Return a sentence with an episode's title, and the price that each coin follows."""
    assumptions = load_with_changes(join_episode(scenario, name)).assumptions
    (follows,) = (line.removeprefix(MOVES) for line in assumptions if line.startswith(MOVES))
    return f"{load_episode(name).section['title'].text}. Prices: {follows.partition('. ')[0]}."


def _format_percent(bps: int) -> str:
    return f"{int(bps) / 100:g}%"


def _format_whole_coins(micro: int) -> str:
    return f"{round(int(micro) / 10**6):,}"


QUESTIONS: Mapping[str, Callable[[str, PathRunner, Mapping[str, Any]], Answer]] = {
    "at-risk": _answer_at_risk,
    "falls": _answer_liquidations_at_price_falls,
    "proposal": _answer_proposal,
    "payers": _answer_payers,
    "owners": _answer_largest_owners_share,
    "ceiling": _answer_ceiling,
    "history": _answer_history,
    "episodes": _answer_episodes,
}
"""Questions by name."""

EVENT_OPTIONS = ("like", "columns", "fixed", "decimals", "only", "rename", "floats")
"""Options for the meaning of columns in files of events."""

OPTIONS: Mapping[str, tuple[str, ...]] = {
    "at-risk": ("paths", "engine", "workers"),
    "falls": ("falls",),
    "proposal": ("paths", "engine", "workers", "changes", "proposed", "level", "owners"),
    "payers": ("paths", "engine", "workers", "presets"),
    "owners": ("paths", "engine", "workers", "largest", "worst", "by"),
    "ceiling": ("paths", "engine", "workers", "symbol", "limit", "level"),
    "history": ("paths", "events", "symbol", *EVENT_OPTIONS, "faults_file"),
    "episodes": ("paths", "engine", "workers"),
}
"""Which options say something of which question."""
