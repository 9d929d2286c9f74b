"""Many cases on several processes, kept on disk, taken up again."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from backstop.errors import BackstopError
from backstop.files.whole import read_json, write_json
from backstop.studies.hunt.alarm import Taken
from backstop.studies.hunt.case import Effort, Looked, look
from backstop.studies.hunt.coalition import Doing
from backstop.studies.hunt.finding import Finding
from backstop.studies.hunt.search import Found, draw_case
from backstop.system import Action

SCHEMA_VERSION = 2
FILE = "hunt.json"
WAIT = 0.2
"""The longest that a stop goes unheard [seconds]; cases under way are lost."""


class Campaign:
    """The cases of a hunt in a folder: numbered from its seed on, each found or found empty."""

    def __init__(self, out: Path, seed: int) -> None:
        self.file = out / FILE
        self.seed = seed
        self.found: dict[int, Looked] = {}
        if self.file.exists():
            self._read()

    def run(
        self,
        cases: int,
        workers: int,
        stopped: Callable[[], bool],
        show: Callable[[int], None],
        effort: Effort,
    ) -> None:
        """Search so many cases in all, unless somebody stops it; save after each."""
        todo = (n for n in range(cases) if n not in self.found)
        show(len(self.found))
        for number, found in _search(((n, self.seed * 10**6 + n) for n in todo), effort, workers, stopped):
            self.found[number] = found
            self.save()
            show(len(self.found))

    def save(self) -> None:
        """Write what was found, at once or not at all."""
        cases = {str(number): _to_json(found) for number, found in sorted(self.found.items())}
        write_json({"schema_version": SCHEMA_VERSION, "seed": self.seed, "cases": cases}, self.file)

    def _read(self) -> None:
        content = read_json(self.file, "hunt", SCHEMA_VERSION, "check --out", "start again in another folder")
        try:
            self.found = {int(number): _from_json(each) for number, each in content["cases"].items()}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BackstopError(
                f"{self.file} is not a whole hunt ({error!r}): start again in another folder"
            ) from None


def _search(
    jobs: Iterator[tuple[int, int]], effort: Effort, workers: int, stopped: Callable[[], bool]
) -> Iterator[tuple[int, Looked]]:
    if workers == 1:
        for number, seed in jobs:
            if stopped():
                return
            yield number, look(seed, effort)
        return
    # A fork would copy locks that other threads hold.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _begin)
    waiting: dict[Future[Looked], int] = {}
    try:
        while not stopped():
            for number, seed in islice(jobs, workers - len(waiting)):
                waiting[pool.submit(look, seed, effort)] = number
            if not waiting:
                return
            done, _ = wait(waiting, WAIT, FIRST_COMPLETED)
            for future in done:
                yield waiting.pop(future), future.result()
    except BrokenProcessPool:
        raise BackstopError("a worker was killed; what was found is kept: the same command goes on") from None
    finally:
        for process in (pool._processes or {}).values():
            process.terminate()
        pool.shutdown(wait=True, cancel_futures=True)


def _begin() -> None:
    """Leave signals to the parent, which tells its workers when to stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _to_json(looked: Looked) -> dict[str, Any]:
    taken = None if looked.taken is None else _taken_to_json(looked.taken)
    stories = [
        each._asdict() | {"strangers": list(map(_doing_to_json, each.strangers)), "size": str(each.size)}
        for each in looked.stories
    ]
    return {"taken": taken, "stories": stories}


def _from_json(content: dict[str, Any]) -> Looked:
    taken = None if content["taken"] is None else _taken_from_json(content["taken"])
    return Looked(taken, tuple(map(_story_from_json, content["stories"])))


def _story_from_json(content: dict[str, Any]) -> Finding:
    strangers = tuple(map(_doing_from_json, content["strangers"]))
    read = Finding(**content)
    lines, intents = tuple(map(str, read.lines)), tuple(map(int, read.intents))
    return read._replace(strangers=strangers, intents=intents, lines=lines, size=int(read.size))


def _taken_to_json(found: Found) -> dict[str, Any]:
    losses = {who: str(amount) for who, amount in found.taken.losses.items()}
    return {
        "seed": found.case.seed,
        "did": [[_doing_to_json(doing) for doing in doings] for doings in found.did],
        "gain": str(found.taken.gain),
        "losses": losses,
    }


def _taken_from_json(content: dict[str, Any]) -> Found:
    losses = {str(who): int(amount) for who, amount in content["losses"].items()}
    did = tuple(tuple(_doing_from_json(each) for each in doings) for doings in content["did"])
    return Found(draw_case(int(content["seed"])), did, Taken(int(content["gain"]), losses))


def _doing_to_json(doing: Doing) -> list[Any]:
    args = [{"bytes": arg.hex()} if isinstance(arg, bytes) else arg for arg in doing.action.args]
    return [doing.tick, doing.phase, doing.action.sender, doing.action.contract, doing.action.method, args]


def _doing_from_json(content: list[Any]) -> Doing:
    tick, phase, sender, contract, method, args = content
    values = tuple(bytes.fromhex(arg["bytes"]) if isinstance(arg, dict) else arg for arg in args)
    return Doing(int(tick), int(phase), Action(str(contract), str(method), values, str(sender)))
