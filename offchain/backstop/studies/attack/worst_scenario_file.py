"""Worst choice as a scenario file that stands alone, and its run on a chain."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backstop.errors import BackstopError
from backstop.files.atomic_files import write_files
from backstop.keepers.keeper_group_settings import StepSeries
from backstop.model.arithmetic import RAY
from backstop.simulation.progress_and_interruption import Progress
from backstop.simulation.scenario import Scenario, load_scenario
from backstop.simulation.scenario.parameters_yaml_writer import (
    format_decimal,
    format_exact_stablecoin,
    format_exact_usd_price,
    render_yaml,
)
from backstop.simulation.scenario.scenario_records import PricePath
from backstop.simulation.scenario.yaml_document_reader import Field
from backstop.simulation.simulator import RunResult, simulate
from backstop.studies.attack.search_space import AttackCandidate
from backstop.studies.plain_scenario_values import build_plain_values

if TYPE_CHECKING:  # a page of what was found needs no contracts
    from backstop.studies.attack.candidate_evaluation import PathOutcome

FILE = "worst.yaml"
RUN = "worst"

_CHANCE = ("correlation", "feed_faults", "tries", "shocks")
"""Fields of random draws and of overlays: they have no meaning once the path is chosen."""


def write_worst_scenario(top: Field, choice: AttackCandidate, budget: str, command: str, out: Path) -> Path:
    """Write the scenario with the adversary's choices in place of random draws, and return its path."""
    scenario = choice.scenario
    content = {
        name: value
        for name, value in build_plain_values(top, scenario.name, out).items()
        if name not in _CHANCE
    }
    content["title"] = f"{scenario.title}: the worst found"
    content["description"] = (
        f"Found by a search of {scenario.name} within the budget {budget}: prices, outages, full blocks and "
        "the moves of hostile members are chosen for the worst."
    )
    content["prices"] = {
        symbol: _price_path_as_yaml_mapping(path) for symbol, path in scenario.prices.items()
    }
    content.pop("feed_prices", None)
    if scenario.feed_prices:
        content["feed_prices"] = {
            symbol: _price_path_as_yaml_mapping(path) for symbol, path in scenario.feed_prices.items()
        }
    content.pop("equity_price", None)
    if scenario.equity_price is not None:
        content["equity_price"] = _price_path_as_yaml_mapping(scenario.equity_price)
    for symbol, market in content["markets"].items():
        market.pop("debt_to_depth", None)
        market["depth"] = format_exact_stablecoin(scenario.markets[symbol].depth)
    content["congestion"] = {
        "block_gas": content["congestion"]["block_gas"],
        "gas_prices": _series_as_yaml_mapping(
            scenario.gas_prices, lambda wei: f"{format_decimal(wei, 10**9)} gwei"
        ),
        "protocol_share": _series_as_yaml_mapping(scenario.gas_share, lambda bps: f"{bps} bps"),
    }
    for group in scenario.keepers:
        keeper = content["keepers"][group.name]
        for name in ("fails", "runs", "outages", "plan"):
            keeper.pop(name, None)
        if group.outages:
            keeper["outages"] = [
                {
                    "from": _format_seconds_as_clock_time(each.start),
                    "to": _format_seconds_as_clock_time(each.end),
                }
                for each in group.outages
            ]
        if group.plan:
            keeper["plan"] = [
                {"at": _format_seconds_as_clock_time(move.at), "do": move.do}
                | ({"share": f"{move.share} bps"} if move.share < 10_000 else {})
                for move in group.plan
            ]
    text = render_yaml(content)
    head = f"# Found by: {command}\n# Play it with the same seed, which draws its book.\n"
    write_files(out, {FILE: head + text})
    return out / FILE


def replay_worst_scenario(
    path: Path,
    choice: AttackCandidate,
    found: PathOutcome,
    host: str,
    seed: int,
    *,
    command: str,
    progress: Progress,
    stop: Callable[[], bool],
) -> RunResult:
    """Run the written scenario on a host, and check that its losses equal those of the search.

    Raises BackstopError if they differ. The run directory is in the subfolder worst/.
    """
    scenario = load_scenario(path)
    _check_scenario_file_matches(path, scenario, choice.scenario)
    out = path.parent / RUN
    result = simulate(scenario, host, seed, out, command=command, progress=progress, stop=stop)
    losses = result.summary["losses"]
    again = int(losses["created_rad"]) // RAY, int(losses["outstanding_rad"]) // RAY
    if again != (found.bad_debt, found.outstanding):
        raise BackstopError(
            f"{path} lost {again[0]} wei, of which {again[1]} are outstanding; the search had found "
            f"{found.bad_debt} and {found.outstanding}"
        )
    return result


def _check_scenario_file_matches(path: Path, read_scenario: Scenario, chosen_scenario: Scenario) -> None:
    """Raise BackstopError if the written file differs from the choice in any digit."""
    for name in ("prices", "feed_prices", "keepers", "gas_prices", "gas_share", "markets", "parameters"):
        if _strip_price_path_labels(getattr(read_scenario, name)) != _strip_price_path_labels(
            getattr(chosen_scenario, name)
        ):
            raise BackstopError(f"{path}: {name} cannot be said in a scenario file as they were chosen")


def _strip_price_path_labels(value: Any) -> Any:
    """Return a value without labels of prices, so that only points and volatility remain."""
    if isinstance(value, Mapping):
        return {name: _strip_price_path_labels(each) for name, each in value.items()}
    return (dict(value.points), value.volatility) if isinstance(value, PricePath) else value


def _price_path_as_yaml_mapping(path: PricePath) -> dict[str, Any]:
    points = sorted(path.points.items())
    return {
        "assumed": {_format_seconds_as_clock_time(at): format_exact_usd_price(value) for at, value in points},
        "volatility": "0 bps",
    }


def _series_as_yaml_mapping(series: StepSeries, format_value: Callable[[int], str]) -> dict[str, Any]:
    pairs = zip(series.times, series.values, strict=True)
    return {"assumed": {_format_seconds_as_clock_time(at): format_value(value) for at, value in pairs}}


def _format_seconds_as_clock_time(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}" + (f":{rest:02}" if rest else "")
