"""A storm: thousands of blocks of a crash under disturbances, with keepers that compete and a mirror."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

from backstop.errors import BackstopError
from backstop.live.chaos.anvil_chain import prepare_chain
from backstop.live.chaos.chaos_environment import BIDDERS, CAPITAL, ChaosEnvironment
from backstop.live.chaos.chaos_verdict import CapitalCheck, judge_storm_run
from backstop.live.chaos.disturbances import (
    OF_A_NODE,
    OF_PROCESSES,
    OF_THE_CHAIN,
    RIVAL,
    Disturbance,
    Kind,
)
from backstop.live.chaos.price_and_liquidity_actors import create_random
from backstop.simulation.scenario import Scenario

BLOCKS = 2_000
CALM = 40
"""Blocks at the end in which nothing is disturbed."""

# A disturbance's consequences count as its own for so many blocks.
AFTER = 10


# How often a pause asks whether to stop: who stops it sets a flag, which wakes nobody [seconds].
_LOOK = 0.2


def pause_run(seconds: float, stop: Callable[[], bool]) -> None:
    """Wait for `seconds`, or until `stop` returns true."""
    over = time.monotonic() + seconds
    while (left := over - time.monotonic()) > 0 and not stop():
        time.sleep(min(left, _LOOK))


Say = Callable[[str], None]


class DisturbanceLane:
    """Sequence of disturbances with random gaps, in which each kind comes equally often.

    Order and gaps follow from the random source. `gap` bounds the blocks between two disturbances.
    """

    def __init__(self, kinds: Sequence[Kind], chance: Random, gap: tuple[int, int]) -> None:
        self.kinds = kinds
        self.chance = chance
        self.gap = gap
        self.counts: Counter[str] = Counter()
        self.now: Disturbance | None = None
        self.calm_in = 0  # blocks until what the last one did is over
        self._left = chance.randint(*gap)
        self._bag: list[Kind] = []

    def start_next(self, scene: ChaosEnvironment) -> None:
        """Start the next disturbance if none is running and the gap is over."""
        if self.now is not None or self._left > 0:
            return
        if not self._bag:
            self._bag = list(self.kinds)
            self.chance.shuffle(self._bag)
        self.now = self._bag.pop()()
        self.now.start_disturbance(scene, self.chance)
        scene.write_note(f"{self.now} begins")
        self.counts[self.now.name] += 1
        self._left = self.now.blocks

    def advance_current_disturbance(self, scene: ChaosEnvironment) -> None:
        """Let the running disturbance act before a block is mined, and end it after its last block."""
        self.calm_in = max(0, self.calm_in - 1)
        self._left -= 1
        if self.now is None:
            return
        self.now.disturb_block(scene, self.chance)
        if self.now.forbids:
            self.calm_in = AFTER
        if self._left <= 0:
            self.end_current(scene)

    def end_current(self, scene: ChaosEnvironment) -> None:
        """End the running disturbance, if there is one, and draw the next gap."""
        if self.now is not None:
            self.now.end_disturbance(scene)
            scene.write_note(f"{self.now} is over")
        self.now, self._left = None, self.chance.randint(*self.gap)


def run_storm(
    folder: Path,
    scenario: Scenario,
    seed: int,
    blocks: int,
    *,
    kinds: Sequence[Sequence[Kind]] = (OF_THE_CHAIN, OF_PROCESSES, OF_A_NODE),
    gaps: Sequence[tuple[int, int]] = ((8, 20), (10, 30), (8, 25)),
    calm: int = CALM,
    minutes: float = 0.0,
    progress: Callable[[int, int, str], None] = lambda done, total, text: None,
    say: Say = lambda text: None,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Run competing keepers and a mirror through a disturbed price crash; return the verdict.

    The run ends once the chain is `blocks` longer, and takes at least `minutes`. `kinds` are groups of
    disturbances; each group has one running at a time. `gaps` bounds the blocks between two disturbances of a
    group. The last `calm` blocks have no disturbance. The verdict lists violated rules in `faults`. Raise
    BackstopError once `stop` returns true.
    """
    shutil.rmtree(folder, ignore_errors=True)
    prepare_chain(folder, scenario, seed, dict.fromkeys((*BIDDERS, RIVAL), CAPITAL))
    began = time.monotonic()
    scene = ChaosEnvironment(folder, scenario, seed)
    try:
        first = scene.chain.head_block.number
        capital = CapitalCheck(scene)
        scene.start_followers()
        lanes = [
            DisturbanceLane(k, create_random(seed, f"lane {i}"), gaps[i]) for i, k in enumerate(kinds) if k
        ]
        quiet: dict[str, bool] = {}
        """By hash, whether nothing kept the takers from acting on a block."""
        mined, started = 0, time.monotonic()
        while (height := scene.chain.head_block.number - first) < blocks:
            if stop():
                raise BackstopError(f"stopped at block {height} of {blocks}")
            ending = height >= blocks - calm
            for lane in lanes:
                if ending:
                    lane.end_current(scene)
                else:
                    lane.start_next(scene)
            names = [lane.now.name for lane in lanes if lane.now is not None]
            progress(height, blocks, ", ".join(names) or "calm")
            scene.wait_for_followers()
            pause_run(started + minutes * 60 * height / blocks - time.monotonic(), stop)
            capital.check_pending_takes_and_spending()
            scene.world.send_block_actions()
            for lane in lanes:
                lane.advance_current_disturbance(scene)
            head = scene.chain.mine_block()
            scene.mined_at[head.hash] = time.time()
            quiet[head.hash] = scene.keepers[0].ready and all(lane.calm_in == 0 for lane in lanes)
            mined += 1
        scene.wait_for_followers()
        scene.settle_and_stop_followers()
        verdict = judge_storm_run(scene, capital, first, quiet)
    finally:
        scene.close()
    return {
        "blocks": {"mined": mined, "kept": blocks, "deepest_reorganisation": scene.deepest},
        "disturbances": {name: count for lane in lanes for name, count in lane.counts.items()},
        **verdict,
        "seconds": round(time.monotonic() - began),
    }
