"""Witnesses of a wrong rule that contract and model share: each looks at a changed copy of the checkout.

A new witness is a function and a line in `WITNESSES`; processes that it starts run in `Copy.root` with
`Copy.environment`, so that they import the copy.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from backstop.errors import BackstopError
from backstop.hosts.artifacts import CACHE, CONTRACTS, ROOT
from backstop.proof.fuzz.fuzz_campaign import Campaign, CampaignSettings

NOTICED, SILENT, DIFFERENCE, BROKEN = "noticed", "silent", "difference", "broken"
_NUMBER = re.compile(r"property (\d+) is violated")
_WORDS = 300


class Mistake(Protocol):
    """Interface of a mistake that can be applied to a copy of the checkout."""

    def apply(self, root: Path) -> None: ...


class DetectorVerdict(NamedTuple):
    """Verdict of a detector on a mistake: outcome, detector, step and message."""

    outcome: str  # NOTICED, SILENT, DIFFERENCE: the two sides are wrong in two ways, BROKEN: it cannot run
    by: str = ""
    step: int = 0  # 0 where there are none
    said: str = ""


@dataclass(frozen=True)
class CheckoutCopy:
    """Copy of the checkout with a mistake applied: package, contracts and compiled artifacts."""

    root: Path

    @property
    def environment(self) -> Mapping[str, str]:
        return {**os.environ, "PYTHONPATH": str(self.root / "offchain")}


class DetectorTask(NamedTuple):
    """Task of a detector: maximum number of steps, seed, time limit [seconds] and stop signal."""

    steps: int
    seed: int
    seconds: float
    stopped: Callable[[], bool] = lambda: False


@contextmanager
def copy_checkout(mistake: Mistake) -> Iterator[CheckoutCopy]:
    """Return a context manager for a temporary copy of the checkout with the mistake applied.

    The compiled artifacts are copied, so that unchanged contracts need no compilation.
    """
    with tempfile.TemporaryDirectory(prefix="backstop-pair-") as folder:
        copy = CheckoutCopy(Path(folder))
        package = Path("offchain") / "backstop"
        shutil.copytree(ROOT / package, copy.root / package)
        shutil.copytree(CONTRACTS, copy.root / "contracts")
        if CACHE.exists():
            shutil.copytree(CACHE, copy.root / CACHE.relative_to(ROOT))
        mistake.apply(copy.root)
        yield copy


def run_campaign(copy: CheckoutCopy, task: DetectorTask) -> DetectorVerdict:
    """Run a fuzz campaign on the copy with all properties, and return its verdict.

    Random steps are played on model and chain until a check fails, the steps are done or time is up.
    """
    began = time.monotonic()

    def has_ended() -> bool:
        return task.stopped() or time.monotonic() - began > task.seconds

    runs = Campaign(
        CampaignSettings(task.seed, task.steps), copy.root / "campaign", copy.root, copy.environment
    )
    try:
        progress = runs.play_runs(stopped=has_ended)
    except BackstopError as error:  # it does not compile, or a step brings the process down
        return DetectorVerdict(BROKEN, said=str(error)[-_WORDS:])
    step = progress.tally.steps + 1
    if not progress.failures:
        if has_ended():
            return DetectorVerdict(BROKEN, step=step, said=f"not done after {task.seconds:.0f} seconds")
        return DetectorVerdict(SILENT)
    text = progress.failures[0]["text"]
    if found := _NUMBER.search(text):
        return DetectorVerdict(NOTICED, f"property {found[1]}", step, text[:_WORDS])
    return DetectorVerdict(DIFFERENCE, step=step, said=text[:_WORDS])


WITNESSES: Mapping[str, Callable[[CheckoutCopy, DetectorTask], DetectorVerdict]] = {"campaign": run_campaign}
"""Name -> witness, in the order in which they are asked; the first that notices ends it."""
