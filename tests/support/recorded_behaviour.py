"""Behaviour before the package moved: recorded runs, replayed under the current names.

    python -m tests.support.recorded_behaviour

records once more, which only a change of rules asks for. The files were from the last commit before the move,
until the core's rules changed: exits in batches, final prices over hours, debt in doubt, stages under caps of
two buckets, feeds of four, timelocks; and then those of the perpetual market after its third audit. No run
from before comes out the same under them; these are from the commit that has them all. Contracts, methods,
reasons, parameters, roles and figures that are renamed later get a line in renames.json, an old name and a
new one; recorded names are translated by it, and nothing else is allowed to differ.
"""

from __future__ import annotations

import json
import lzma
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from backstop.files.old_names import RenameTable
from backstop.hosts.artifacts import Artifacts
from backstop.hosts.revm import RevmHost
from backstop.keepers import call_costs, gas_table
from backstop.proof.fuzz.fuzz_run import FuzzRun, derive_run_seed
from backstop.proof.lockstep import ProtocolLockstep, deploy_lockstep
from backstop.proof.replayable_trace import read_trace, write_trace_json
from backstop.simulation.scenario import load_scenario
from backstop.simulation.simulator import simulate
from backstop.system import Action, Outcome

FOLDER = Path(__file__).parents[1] / "regression" / "before_the_move"
TRACES = FOLDER / "traces.jsonl.xz"
SCENARIOS = FOLDER / "scenarios.json"
GAS = FOLDER / "gas.json"

COUNT = 200
STEPS = 80
SEED = 20261122
TOLD = ("title", "description", "facts", "assumptions", "schema_version", "state_hash")
"""Summary entries in words, or on storage locations: no results of a run."""


# --------------------------------------------------------------- what is compared


def convert_outcome_to_json(outcome: Outcome) -> list[Any]:
    """Reason, value and events of a step, as JSON has them."""
    logs = [[log.contract, log.event, to_json_value(log.values)] for log in outcome.logs]
    return [outcome.reason, to_json_value(outcome.value), logs]


def read_token_balances_from_model(both: ProtocolLockstep) -> dict[str, dict[str, int]]:
    """Every token's balances, by the token's name and the owner's address; zeros left out."""
    found = {}
    for name, tables in both.model.get_live_tables().items():
        balances = tables.get("erc20.balanceOf")
        if balances is not None:
            found[name] = {str(owner): int(amount) for owner, amount in balances.items() if amount}
    return found


def build_summary_without_descriptions(summary: dict[str, Any]) -> dict[str, Any]:
    """The figures of a run's summary."""
    return {name: value for name, value in summary.items() if name not in TOLD}


def to_json_value(value: Any) -> Any:
    """A value as JSON has it: sequences as lists, bytes in hex."""
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, list | tuple):
        return [to_json_value(item) for item in value]
    return value


# -------------------------------------------------------------------- translation


def translate_outcome(renames: RenameTable, outcome: list[Any]) -> list[Any]:
    """Return an outcome under the names of today."""
    reason, value, logs = outcome
    translated = [
        [renames.translate_name("contracts", contract), renames.translate_name("events", event), values]
        for contract, event, values in logs
    ]
    return [None if reason is None else renames.translate_reason(reason), value, translated]


def add_later_fields(action: Action, outcome: list[Any]) -> list[Any]:
    """Return an outcome with the values that a view has had since; no recorded type has a mechanism."""
    reason, value, logs = outcome
    if action.method == "accrue_and_read" and reason is None:
        value = [*value, 0]
    return [reason, value, logs]


# ----------------------------------------------------------------- playing again


def load_recorded_traces() -> Iterator[dict[str, Any]]:
    """Yield what was recorded of each fuzzed run: trace, outcome of each action, balances at the end."""
    with lzma.open(TRACES, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def load_recorded_scenario_figures() -> dict[str, Any]:
    """Scenario of the library -> the figures that its run came to, on the model."""
    found: dict[str, Any] = json.loads(SCENARIOS.read_text(encoding="utf-8"))
    return found


def check_recorded_run_replays(content: dict[str, Any], artifacts: Artifacts, renames: RenameTable) -> None:
    """Play a recorded run on model and contracts; raises AssertionError at the first thing that differs."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        path.write_text(json.dumps(content["trace"]), encoding="utf-8")
        trace = read_trace(path, artifacts)
    expected = iter(content["outcomes"])
    host = RevmHost(trace.started_at)
    both = deploy_lockstep(host, trace.parameters, artifacts=artifacts, check_every=0, traces=None)
    for place, step in enumerate(trace.steps):
        if isinstance(step.step, Action):
            both.advance(step.timestamp - both.timestamp)
            was, now = (
                add_later_fields(step.step, translate_outcome(renames, next(expected))),
                convert_outcome_to_json(both.apply(step.step)),
            )
            assert now == was, f"step {place}, {step.step}: was {was}, is {now}"
        else:
            both.play_step(step)
    both.compare_state()
    balances = {renames.translate_name("contracts", name): each for name, each in content["balances"].items()}
    assert read_token_balances_from_model(both) == balances


def simulate_with_recorded_gas(recorded_scenario_name: str, renames: RenameTable) -> dict[str, Any]:
    """Return the figures of a scenario of the library today, by the name it had, at the gas of then.

    Figures that were not recorded are left out: over-liquidation of each type.
    """
    with _use_recorded_gas_table(renames):
        found = build_summary_without_descriptions(
            simulate(
                load_scenario(renames.translate_name("scenarios", recorded_scenario_name)), "model", 1
            ).summary
        )
    for entry in found["collateral_types"]:
        del entry["over_liquidated_rad"]
    return found


@contextmanager
def _use_recorded_gas_table(renames: RenameTable) -> Iterator[None]:
    """Use the recorded gas costs of calls: the committed table of gas is an input of every run.

    Calls that there were not then cost what they do today.
    """
    today = gas_table.SNAPSHOT
    rows = json.loads(today.read_text(encoding="utf-8"))["rows"]
    recorded = json.loads(GAS.read_text(encoding="utf-8"))["rows"]
    rows |= {renames.translate_name("gas", row): gas for row, gas in recorded.items()}
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump({"rows": rows}, file)
        file.flush()
        gas_table.SNAPSHOT = Path(file.name)
        call_costs._load_gas_table.cache_clear()
        try:
            yield
        finally:
            gas_table.SNAPSHOT = today
            call_costs._load_gas_table.cache_clear()


# ---------------------------------------------------------------------- recording


def write_recorded_behaviour_files() -> None:
    """Write the files anew, from the checkout one stands in."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    GAS.write_bytes(gas_table.SNAPSHOT.read_bytes())
    artifacts = Artifacts()
    with lzma.open(TRACES, "wt", encoding="utf-8", preset=9) as lines:
        for index in range(COUNT):
            print(json.dumps(_record_run(index, artifacts), separators=(",", ":")), file=lines)
    from backstop.simulation.scenario.scenario_library import LIBRARY

    names = sorted(path.stem for path in LIBRARY.glob("*.yaml"))
    figures = {
        name: build_summary_without_descriptions(simulate(load_scenario(name), "model", 1).summary)
        for name in names
    }
    SCENARIOS.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def _record_run(index: int, artifacts: Artifacts) -> dict[str, Any]:
    outcomes: list[Any] = []
    machine = FuzzRun(
        RevmHost(), derive_run_seed(SEED, index), artifacts=artifacts, check_every=0, traces=None
    )
    both = machine.both
    for _ in machine.play_random_steps(STEPS):
        pass
    trace = both.build_trace()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        write_trace_json(trace, path)
        content = json.loads(path.read_text(encoding="utf-8"))
    # Played once more for the outcomes of the opening, too.
    again = deploy_lockstep(
        RevmHost(trace.started_at), trace.parameters, artifacts=artifacts, check_every=0, traces=None
    )
    for step in trace.steps:
        if isinstance(step.step, Action):
            again.advance(step.timestamp - again.timestamp)
            outcomes.append(convert_outcome_to_json(again.apply(step.step)))
        else:
            again.play_step(step)
    return {"trace": content, "outcomes": outcomes, "balances": read_token_balances_from_model(again)}


if __name__ == "__main__":
    write_recorded_behaviour_files()
