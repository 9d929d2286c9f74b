"""Plugin of pytest for the tests that Hypothesis drives: no end but the time, no shrinking, steps counted.

It is copied beside the tests, into environments that have no Backstop. With BENCH_SECONDS the process ends
that long after the first step, and writes the steps to the file BENCH_STEPS.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine

settings.register_profile(
    "bench",
    max_examples=1_000_000,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("bench")

_SECONDS = float(os.environ.get("BENCH_SECONDS", "inf"))
_check = RuleBasedStateMachine.check_invariants
_steps, _began = -1, 0.0
_machine: Any = None


def _check_and_count_step(machine: Any, *args: Any, **options: Any) -> None:
    """Check the invariants, as before the first step and after each; end once the time is up."""
    global _steps, _began, _machine
    _check(machine, *args, **options)
    _began = _began or time.perf_counter()
    _steps += machine is _machine or _steps < 0
    _machine = machine
    if time.perf_counter() - _began > _SECONDS:
        Path(os.environ["BENCH_STEPS"]).write_text(str(_steps))
        os._exit(0)


setattr(RuleBasedStateMachine, _check.__name__, _check_and_count_step)
