"""Plugin of pytest for the tests that Hypothesis drives: no end but the time, no shrinking, steps counted.

It is copied beside the tests, into environments that have no Backstop. With BENCH_STEPS the process ends
after so many steps, and writes their number to steps.txt.
"""

from __future__ import annotations

import os
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

_MOST = float(os.environ.get("BENCH_STEPS", "inf"))
_check = RuleBasedStateMachine.check_invariants
_steps = 0
_machine: Any = None


def _check_and_count_step(machine: Any, *args: Any, **options: Any) -> None:
    """Check the invariants, count the step, and end the process at the limit of steps.

    The check before a machine's first step is not counted. The count is written to steps.txt.
    """
    global _steps, _machine
    _check(machine, *args, **options)
    _steps += machine is _machine
    _machine = machine
    if _steps >= _MOST:
        Path("steps.txt").write_text(str(_steps))
        os._exit(0)


setattr(RuleBasedStateMachine, _check.__name__, _check_and_count_step)
