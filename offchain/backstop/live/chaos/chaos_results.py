"""Results of chaos: its parts, kept as they are finished, and the table of their figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from backstop.files.atomic_files import read_versioned_json, write_json
from backstop.files.output_directories import refuse_other
from backstop.live.chaos.anvil_chain import storm_scenario
from backstop.live.chaos.byzantine_node_trials import run_node_trials
from backstop.live.chaos.crash_recovery import run_restarts
from backstop.live.chaos.fault_injection_run import run_storm
from backstop.live.chaos.soak import run_soak
from backstop.live.chaos.work_trials import WORK, run_work_trials
from backstop.model.arithmetic import WAD
from backstop.simulation.scenario import load_scenario

SCHEMA_VERSION = 3
PARTS = ("storm", "restarts", "nodes", "work")
LONG = ("soak",)
"""Parts that are run only when they are named."""
SOAK = 360.0
"""Default length of a soak in minutes."""


class ChaosResults:
    """Results of the parts of a chaos run, kept in chaos.json, so that finished parts are not run again.

    Raise BackstopError if the folder holds results for other arguments.
    """

    def __init__(
        self, folder: Path, seed: int, blocks: int, kills: int, minutes: float | None, block_time: int
    ) -> None:
        self.folder = folder
        self.file = folder / "chaos.json"
        limits = {"blocks": blocks, "kills": kills, "minutes": minutes}
        asked = {"seed": seed, **limits, "block_time": block_time}
        self.content: dict[str, Any] = {"schema_version": SCHEMA_VERSION, **asked, "parts": {}}
        if self.file.exists():
            kept = read_versioned_json(self.file, "file of results", SCHEMA_VERSION, "", "give --fresh")
            refuse_other(folder, {name: kept.get(name) for name in asked}, asked)
            self.content["parts"] = kept["parts"]

    @property
    def detected_faults(self) -> list[str]:
        """Violated rules of all finished parts, as sentences."""
        return [fault for part in self.content["parts"].values() for fault in part["faults"]]

    def run_part(
        self, part: str, progress: Callable[[int, int, str], None], stop: Callable[[], bool]
    ) -> None:
        """Run a part (storm, restarts, nodes, work, soak) and save its result, unless it is there already."""
        if part in self.content["parts"]:
            return
        place, seed, scenario = self.folder / part, self.content["seed"], storm_scenario()
        if part == "storm":
            found = run_storm(
                *(place, scenario, seed, self.content["blocks"]),
                minutes=self.content["minutes"] or 0.0,
                progress=progress,
                stop=stop,
            )
        elif part == "soak":
            found = run_soak(
                *(place, scenario, seed, self.content["minutes"] or SOAK),
                block=self.content["block_time"],
                progress=progress,
                stop=stop,
            )
        elif part == "nodes":
            found = run_node_trials(place, scenario, progress=progress, stop=stop)
        elif part == "work":
            found = run_work_trials(place, load_scenario(WORK), progress=progress, stop=stop)
        else:
            found = run_restarts(place, scenario, seed, self.content["kills"], progress=progress, stop=stop)
        self.content["parts"][part] = found
        write_json(self.content, self.file)


def format_chaos_results_table(chaos_results: dict[str, Any]) -> str:
    """Return the figures of all finished parts as a text table, one line for each figure."""
    rows = [
        (part if i == 0 else "", name, value)
        for part, found in chaos_results["parts"].items()
        for i, (name, value) in enumerate(_ROWS[part](found))
    ]
    wide = max((len(name) for _, name, _ in rows), default=0)
    return "\n".join(f"{part:<9} {name:<{wide}}  {value}".rstrip() for part, name, value in rows)


def _iter_chaos_storm_rows(storm_result: dict[str, Any]) -> Iterator[tuple[str, str]]:
    blocks, mirror, auctions, nonces = (
        storm_result[name] for name in ("blocks", "mirror", "auctions", "nonces")
    )
    yield "blocks", f"{blocks['kept']:,} kept, {blocks['mined']:,} mined"
    yield "deepest way back", f"{blocks['deepest_reorganisation']} blocks"
    yield from ((f"  {name}", f"{count} times") for name, count in storm_result["disturbances"].items())
    yield "mirror", f"{mirror['differences']} differences in {mirror['blocks']:,} blocks, each compared"
    yield "", f"{mirror['blocks_replaced_later']} more were compared and then replaced"
    if mirror["blocks_forgotten_by_the_node"]:
        yield "", f"{mirror['blocks_forgotten_by_the_node']} the node forgot before that"
    yield "auctions", f"{auctions['started']}, {auctions['paid_at_some_time']} paid at some time"
    yield "  left alone", f"{auctions['left_alone']}"
    yield (
        "  longest calm wait",
        f"{auctions['longest_calm_wait_blocks']} blocks of {storm_result['most_wait_blocks']} at most",
    )
    vaults = storm_result["vaults"]
    yield "unsafe vaults", f"{vaults['unsafe_at_some_time']}, {vaults['left_alone']} left alone"
    yield "  liquidated within", f"{vaults['p99_blocks']} blocks (p99), whatever happened"
    yield (
        "  longest calm wait",
        f"{vaults['longest_calm_wait_blocks']} blocks of {storm_result['most_wait_blocks']} at most",
    )
    yield from ((f"  takes of {name}", str(count)) for name, count in storm_result["takes"].items())
    for each in storm_result["capital"]:
        had, spent, most = (int(each[f"{name}_wad"]) // WAD for name in ("had", "spent", "most_reserved"))
        yield f"money of {each['account']}", f"{spent:,} of {had:,} spent, {most:,} reserved at most"
    for each in storm_result["budgets"]:
        used, limit = (int(each[f"{name}_wad"]) / WAD for name in ("most", "limit"))
        digits, unit = (4, "coins for gas") if each["what"] == "gas" else (0, "stablecoins")
        text = f"{used:,.{digits}f} of {limit:,.{digits}f} {unit} in any hour"
        yield f"budget of {each['account']}", text
    yield "nonces", f"{nonces['used']} used, none open"
    yield "  longest gap", f"{nonces['longest_gap_blocks']} blocks"
    for each in storm_result["keepers"]:
        told = ", ".join(f"{count} {name}" for name, count in each.items() if name != "name" and count)
        yield f"keeper {each['name']}", told
    yield "faults", str(len(storm_result["faults"]))
    yield "took", f"{storm_result['seconds']:,} s"


def _iter_crash_recovery_rows(restart_result: dict[str, Any]) -> Iterator[tuple[str, str]]:
    recovery = restart_result["recovery_seconds"]
    yield (
        "kills",
        f"{restart_result['kills']} in {restart_result['runs']} crashes of "
        f"{restart_result['blocks_of_a_run']} blocks",
    )
    yield "  at random moments", str(restart_result["at_random_moments"])
    yield from ((f"  {name}", str(count)) for name, count in restart_result["at_points"].items())
    yield "same end", f"{restart_result['equal_runs']} of {restart_result['runs']} crashes"
    fields, sent = restart_result["fields_compared"], restart_result["transactions_of_a_run"]
    yield "  compared in each", f"{fields} fields after {sent} transactions, or more"
    yield "recovery", f"median {recovery['median']:.1f} s, longest {recovery['longest']:.1f} s"
    yield (
        "longest crash",
        f"{restart_result['longest_run_seconds']:.0f} s, "
        f"{restart_result['undisturbed_seconds']:.0f} s without kills",
    )
    yield "faults", str(len(restart_result["faults"]))


def _iter_soak_rows(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "lasted", f"{found['minutes']:,} minutes, {found['blocks']:,} blocks"
    yield "load", f"{found['opened']:,} vaults opened, {found['transactions']:,} transactions of keepers"
    yield "readers", ", ".join(f"{count:,} {name}" for name, count in sorted(found["readers"].items()))
    yield "mirror", f"{found['differences']} differences"
    for each in found["processes"]:
        for what, unit, size in (("memory", "MB", 10**6), ("open", "descriptors", 1)):
            used, digits = each[what], 1 if size > 1 else 0
            text = f"{used['warm'] / size:,.{digits}f}, then {used['last'] / size:,.{digits}f} {unit}"
            if used["an_hour"] is not None:
                rate, low, high = (value / size for value in used["an_hour"])
                text += f"; {rate:+,.2f} an hour ({low:+,.2f} to {high:+,.2f})"
            judged = "keeps the chain's history" if each["name"] == "node" else used["verdict"]
            yield each["name"] if what == "memory" else "", f"{text}: {judged}"
    yield "faults", str(len(found["faults"]))


def _iter_node_fault_trial_rows(trials_result: dict[str, Any]) -> Iterator[tuple[str, str]]:
    trials = trials_result["trials"]
    yield "of a node", f"{len({each['fault'] for each in trials})} faults, beside an honest node and alone"
    yield "  noticed", f"{sum(each['noticed'] for each in trials)} of {len(trials)} trials"
    yield "  as they should", f"{sum(not each['faults'] for each in trials)} of {len(trials)} trials"
    yield "faults", str(len(trials_result["faults"]))
    yield "took", f"{trials_result['seconds']:,} s"


def _iter_work_trial_rows(trials_result: dict[str, Any]) -> Iterator[tuple[str, str]]:
    without, *trials = trials_result["trials"]
    yield "without a liar", f"{without['blocks']} blocks, {without['mined']} transactions"
    for each in trials:
        spent = each["gas_wei"] / without["gas_wei"]
        lost = f", {each['empty'] + each['failed']} for nothing" if each["empty"] + each["failed"] else ""
        beside = "beside" if each["nodes"].startswith("beside") else "alone"
        yield f"  {each['fault']}, {beside}", f"{each['blocks']} blocks, {spent:.2f} of the gas{lost}"
    yield "faults", str(len(trials_result["faults"]))
    yield "took", f"{trials_result['seconds']:,} s"


_ROWS: dict[str, Callable[[dict[str, Any]], Iterator[tuple[str, str]]]] = {
    "storm": _iter_chaos_storm_rows,
    "restarts": _iter_crash_recovery_rows,
    "nodes": _iter_node_fault_trial_rows,
    "work": _iter_work_trial_rows,
    "soak": _iter_soak_rows,
}
