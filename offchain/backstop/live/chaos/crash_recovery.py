"""Crash recovery: keepers killed at any moment of a short crash must reach the same end as undisturbed ones.

A block comes when the keeper has looked at the last one, and the keeper stands still meanwhile: it never sees
half of one. So undisturbed runs are equal to the last storage slot, nonce and wei of gas, and nothing may
differ after kills either. One of taker and bidder runs, not both: they would take from each other. A new
process does not know the failures of the last minute, so it would also try sooner.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from backstop.deployment.role_accounts import get_account
from backstop.errors import BackstopError
from backstop.files.atomic_files import read_versioned_json, write_json
from backstop.hosts.world_storage_json import encode_nonzero_storage_words
from backstop.live.chaos.anvil_chain import AnvilChain, copy_chain_state, prepare_chain
from backstop.live.chaos.crash_points import POINTS
from backstop.live.chaos.keeper_and_mirror_processes import PATIENCE, FollowerProcess
from backstop.live.chaos.price_and_liquidity_actors import MarketActors, create_random
from backstop.live.mirror.chain_mirror import open_mirror
from backstop.model.arithmetic import WAD
from backstop.simulation.scenario import Scenario

SCHEMA_VERSION = 1
KILLS, KILLS_OF_A_RUN = 100, 5
BLOCKS, BLOCK_TIME = 50, 90
BUYERS = ("taker", "bidder")
"""They take turns, run by run."""

_CAPITAL = 60_000 * WAD
_ACCOUNTS = ("liquidator", "taker", "bidder", "crank", "coverer")
# With a limit for one look, a keeper that is started again would send more for the same block.
_SETTINGS = """
schema_version: 1
network: {url}
deployment: deployment.json
journal: journal
log: json
interval: 100 ms
replace_after: 1 s
grace: 0 s
roles:
  liquidator: {{calls_per_block: 100}}
  {buyer}: {{calls_per_block: 100}}
  crank: {{calls_per_block: 100}}
"""


class ScheduledKill(NamedTuple):
    """Planned death of a process: at a time after it saw some blocks, or at a place in its code."""

    blocks: int = 0
    seconds: float = 0.0
    point: str = ""
    times: int = 0

    def __str__(self) -> str:
        if self.point:
            return f"{self.point}, time {self.times}"
        return f"{1000 * self.seconds:.0f} ms after block {self.blocks} of its own"


class RunOutcome(NamedTuple):
    """Outcome of a short run: final state, deaths, recovery times and duration [seconds]."""

    state: dict[str, Any]
    """All storage and the keepers' accounts at the end, by name."""
    died: list[str]
    recovered: list[float]
    """Seconds from each death until the next process had looked at the newest block."""
    seconds: float


def short_crash(
    stage: Path,
    folder: Path,
    scenario: Scenario,
    seed: int,
    buyer: str,
    kills: tuple[ScheduledKill, ...] = (),
    blocks: int = BLOCKS,
) -> RunOutcome:
    """Run a keeper through a short price crash with the given kills, and return the outcome.

    The chain starts from the saved state in `stage`. `folder` is removed at the end, unless an error occurs.
    Raise BackstopError if the keeper ends by itself or hangs.
    """
    copy_chain_state(stage, folder)
    began = time.monotonic()
    chain = AnvilChain(folder, BLOCK_TIME)
    (folder / "keeper.yaml").write_text(_SETTINGS.format(url=chain.url, buyer=buyer), encoding="utf-8")
    keeper = FollowerProcess("keeper", "keeper", ["--config", "keeper.yaml"], folder)
    try:
        run = _Run(chain, keeper, list(kills))
        world, last = MarketActors(chain, scenario, seed), chain.head_block.number + blocks
        run.wait_until_keeper_sees_block()
        while chain.head_block.number < last:
            keeper.freeze_process()
            world.send_block_actions()
            chain.mine_block()
            keeper.unfreeze_process()
            run.wait_until_keeper_sees_block()
        if keeper.stop_process() != 0:
            raise BackstopError(f"the keeper ended with an error: {keeper.read_last_lines()}")
        state = _read_final_slots_and_balances(chain)
    finally:
        keeper.close()
        chain.close()
    shutil.rmtree(folder)
    return RunOutcome(state, run.died, run.recovered, time.monotonic() - began)


class _Run:
    """Run of a keeper process, which is replaced by a new process after each kill."""

    def __init__(self, chain: AnvilChain, keeper: FollowerProcess, kills: list[ScheduledKill]) -> None:
        self.chain = chain
        self.keeper = keeper
        self.kills = kills
        self.died: list[str] = []
        self.recovered: list[float] = []
        self._start_keeper_with_next_kill()

    def _start_keeper_with_next_kill(self) -> None:
        """Start the next keeper process and plan its kill, if one is left."""
        self._kill = self.kills.pop(0) if self.kills else None
        self._seen = 0
        if self._kill is not None and self._kill.point:
            self.keeper.start_process(self._kill.point, self._kill.times)
        else:
            self.keeper.start_process()

    def wait_until_keeper_sees_block(self) -> None:
        """Wait until a keeper process has processed the newest block, and replace each killed process."""
        head, began, died_at = self.chain.head_block.number, time.monotonic(), None
        while True:
            kill = self._kill
            timed = kill is not None and not kill.point and kill.blocks == self._seen
            if timed and kill is not None and time.monotonic() >= began + kill.seconds:
                self.keeper.kill_process()
            if not self.keeper.running:
                if kill is None or self.keeper.code != -9:
                    raise BackstopError(f"the keeper ended by itself: {self.keeper.read_last_lines()}")
                self.died.append(str(kill))
                died_at = time.monotonic() if died_at is None else died_at
                self._start_keeper_with_next_kill()
                began = time.monotonic()
            elif not timed and self.keeper.is_at_block(head):
                self._seen += 1
                if died_at is not None:
                    self.recovered.append(time.monotonic() - died_at)
                return
            if time.monotonic() > began + PATIENCE:
                raise BackstopError(f"the keeper did not look at block {head} within {PATIENCE:.0f} s")
            time.sleep(0.005)


def _read_final_slots_and_balances(chain: AnvilChain) -> dict[str, Any]:
    """Return the final storage, and the nonce and balance of each keeper account, by name.

    Raise BackstopError if model and chain differ.
    """
    mirror = open_mirror(chain.node, chain.deployment)
    mirror.replay_to_block(None)
    mirror.raise_differences()
    state: dict[str, Any] = {"block": mirror.block, "timestamp": mirror.model.timestamp}
    state |= _map_leaves_by_path(encode_nonzero_storage_words(mirror.model.world))
    for name in _ACCOUNTS:
        state[f"nonce of {name}"] = chain.node.get_nonce(get_account(name))
        state[f"coins of {name}"] = chain.node.get_balance(get_account(name))
    return state


def _map_leaves_by_path(content: Any, path: str = "") -> dict[str, Any]:
    """Return all values of nested mappings in one mapping, by their path of keys."""
    if not isinstance(content, Mapping):
        return {path: content}
    return {
        leaf: value
        for key, each in content.items()
        for leaf, value in _map_leaves_by_path(each, f"{path}/{key}").items()
    }


def describe_differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Return a line for each value that differs between a run without kills and a run with kills."""
    return [
        f"{name}: {one.get(name)} without kills, {other.get(name)} with"
        for name in sorted(one.keys() | other.keys())
        if one.get(name) != other.get(name)
    ]


def draw_scheduled_kills(
    random_source: Random, run_number: int, blocks: int = BLOCKS
) -> tuple[ScheduledKill, ...]:
    """Draw the kills of a run: by turns at a random moment and at a named place of the code.

    Over many runs each place comes equally often.
    """
    kills = []
    for i in range(KILLS_OF_A_RUN):
        place = run_number * KILLS_OF_A_RUN + i
        if place % 2 == 0:
            kills.append(
                ScheduledKill(
                    random_source.randint(0, blocks // (2 * KILLS_OF_A_RUN)), random_source.uniform(0, 0.25)
                )
            )
        else:
            kills.append(
                ScheduledKill(point=list(POINTS)[place // 2 % len(POINTS)], times=random_source.randint(1, 3))
            )
    return tuple(kills)


def run_restarts(
    folder: Path,
    scenario: Scenario,
    seed: int,
    kills: int,
    *,
    blocks: int = BLOCKS,
    progress: Callable[[int, int, str], None] = lambda done, total, text: None,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Repeat short runs until keepers were killed `kills` times; return figures and violated rules.

    Each run must end in the same state as a run without kills; each difference is listed in `faults`.
    Finished runs are kept in the folder and not repeated.
    """
    file = folder / "runs.json"
    runs: list[dict[str, Any]] = []
    if file.exists():
        kept = read_versioned_json(file, "file of runs", SCHEMA_VERSION, "", "remove it")
        runs = kept["runs"]
    stage = folder / "stage"
    if not stage.exists():
        prepare_chain(folder / "stage.part", scenario, seed, {"bidder": _CAPITAL})
        (folder / "stage.part").rename(stage)
    calm: dict[str, RunOutcome] = {}
    while (died := sum(len(each["died"]) for each in runs)) < kills:
        if stop():
            raise BackstopError(f"stopped after {died} of {kills} kills; the same command goes on")
        progress(died, kills, "killing a keeper")
        number = len(runs)
        buyer = BUYERS[number % len(BUYERS)]
        if buyer not in calm:
            calm[buyer] = short_crash(stage, folder / buyer, scenario, seed, buyer, blocks=blocks)
        chosen = draw_scheduled_kills(create_random(seed, f"run {number}"), number, blocks)[: kills - died]
        place = folder / f"run-{number}"
        shutil.rmtree(place, ignore_errors=True)
        ran = short_crash(stage, place, scenario, seed, buyer, chosen, blocks)
        runs.append(
            {
                "buyer": buyer,
                "died": ran.died,
                "recovered_seconds": [round(each, 3) for each in ran.recovered],
                "fields": len(ran.state),
                "transactions": sum(ran.state[f"nonce of {name}"] for name in _ACCOUNTS),
                "differs": describe_differences(calm[buyer].state, ran.state),
                "seconds": round(ran.seconds, 1),
                "seconds_without_kills": round(calm[buyer].seconds, 1),
            }
        )
        write_json({"schema_version": SCHEMA_VERSION, "runs": runs}, file)
    return _summarise_runs(runs, blocks)


def _summarise_runs(runs: list[dict[str, Any]], blocks: int) -> dict[str, Any]:
    recovered = sorted(each for run in runs for each in run["recovered_seconds"])
    died = [each for run in runs for each in run["died"]]
    points = {name: sum(each.startswith(f"{name}, ") for each in died) for name in POINTS}
    return {
        "kills": len(died),
        "runs": len(runs),
        "blocks_of_a_run": blocks,
        "at_points": points,
        "at_random_moments": len(died) - sum(points.values()),
        "fields_compared": min(run["fields"] for run in runs),
        "transactions_of_a_run": min(run["transactions"] for run in runs),
        "equal_runs": sum(not run["differs"] for run in runs),
        "recovery_seconds": {"median": recovered[len(recovered) // 2], "longest": recovered[-1]},
        "longest_run_seconds": max(run["seconds"] for run in runs),
        "undisturbed_seconds": max(run["seconds_without_kills"] for run in runs),
        "faults": [f"run {i}: {each}" for i, run in enumerate(runs) for each in run["differs"]],
    }
