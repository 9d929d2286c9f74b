"""The other end of `looking`: a process in a copy of the checkout, asked for one case after the other."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from queue import Empty, Queue
from threading import Thread
from typing import NamedTuple

from backstop.proof.mutation.witnesses import Copy
from backstop.studies.hunted.news import Told

LONGEST = 900.0
"""So long may one alarm take for one case [seconds]; it takes a few."""
_WAIT = 0.2
_WORDS = 300


Job = tuple[int, str]
"""A case and an alarm."""


class Look(NamedTuple):
    """What an alarm says of a case."""

    stories: tuple[Told, ...] = ()
    # Pairs whose place was met, where the copy says so.
    met: tuple[str, ...] = ()
    # Why the case could not be looked at to its end.
    broken: str = ""


class Looker:
    """A process that looks; it ends with the block."""

    def __init__(self, copy: Copy, seed: int, stopped: Callable[[], bool] = lambda: False) -> None:
        self._seed = seed
        self._stopped = stopped
        self._errors = copy.root / "errors.txt"
        with self._errors.open("w") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "backstop.studies.hunted.looking"],
                cwd=copy.root,
                env=copy.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,  # ^C is for the parent, which keeps what was found
            )
        self._answers: Queue[str] = Queue()
        Thread(target=self._listen, daemon=True).start()

    def __enter__(self) -> Looker:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.wait()

    def look(self, job: Job) -> Look | None:
        """Return what an alarm says of a case; None if somebody stops it."""
        case, alarm = job
        assert self._process.stdin is not None
        question = json.dumps([self._seed * 10**6 + case, alarm])
        try:
            self._process.stdin.write(question + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return Look(broken=self._last_words())
        began = time.monotonic()
        while not self._stopped():
            try:
                answer = self._answers.get(timeout=_WAIT)
            except Empty:
                if time.monotonic() - began > LONGEST:
                    return Look(broken=f"not done after {LONGEST:.0f} seconds")
                continue
            if not answer:
                self._answers.put("")  # and so for whoever asks again
                return Look(broken=self._last_words())
            found = json.loads(answer)
            stories = (Told(case, alarm, s["kind"], int(s["size"]), s["says"]) for s in found["stories"])
            return Look(tuple(stories), tuple(found["met"]))
        return None

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put("")  # it has ended

    def _last_words(self) -> str:
        lines = self._errors.read_text().strip().splitlines()
        return lines[-1][:_WORDS] if lines else "it ended without a word"
