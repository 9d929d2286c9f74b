"""A process that plays runs: one job a line on stdin, one result a line on stdout, both JSON.

It has a process of its own because the model has to be loaded with probes in it, and so that a run
that brings the process down does not bring down the campaign.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any


def answer_run_jobs() -> None:
    """Play the runs requested on stdin, one JSON object a line, and print each result as JSON.

    The first line has the settings. The process ignores SIGINT and ends when its input ends. If a run raises,
    its result holds the traceback under `crash`.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from backstop.proof.fuzz import model_branch_coverage

    reached = model_branch_coverage.install_marked_model_importer()
    from backstop.proof.fuzz.run_series_with_kept_traces import RunExecutor

    # A run makes many small objects and hardly a cycle: looking for some less often saves a twentieth.
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    # Only answers may go out here: what others print goes to the log.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    settings = json.loads(sys.stdin.readline())
    player = RunExecutor(probes=reached, out=Path(settings.pop("out")), **settings)
    for line in sys.stdin:
        try:
            result: dict[str, Any] = player.play_run(**json.loads(line))
        except Exception:
            result = {"crash": traceback.format_exc()}
        print(json.dumps(result), file=answers, flush=True)


if __name__ == "__main__":
    answer_run_jobs()
