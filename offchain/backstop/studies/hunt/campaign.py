"""Many cases on several processes, kept on disk, taken up again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from backstop.errors import BackstopError
from backstop.files.atomic_files import read_json, write_json
from backstop.parallel.workers import Workers
from backstop.studies.hunt.alarm import Taken
from backstop.studies.hunt.case import Effort, Looked, look
from backstop.studies.hunt.coalition import Doing
from backstop.studies.hunt.finding import Finding
from backstop.studies.hunt.search import Found, draw_case
from backstop.system import Action

SCHEMA_VERSION = 2
FILE = "hunt.json"


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
        workers: Workers,
        stopped: Callable[[], bool],
        show: Callable[[int], None],
        effort: Effort,
    ) -> None:
        """Search so many cases in all, unless somebody stops it; save after each."""
        todo = (n for n in range(cases) if n not in self.found)
        show(len(self.found))
        if stopped():
            return
        with closing(workers(_look, (self.seed, effort), todo)) as results:
            for done in results:
                if done is not None:
                    number, found = done
                    self.found[number] = found
                    self.save()
                    show(len(self.found))
                if stopped():
                    return

    def save(self) -> None:
        """Write what was found, at once or not at all."""
        cases = {str(number): _to_json(found) for number, found in sorted(self.found.items())}
        write_json({"schema_version": SCHEMA_VERSION, "seed": self.seed, "cases": cases}, self.file)

    def _read(self) -> None:
        content = read_json(self.file, "hunt", SCHEMA_VERSION, "check --out", "start again in another folder")
        try:
            self.found = found_in(content)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BackstopError(
                f"{self.file} is not a whole hunt ({error!r}): start again in another folder"
            ) from None


def found_in(content: Mapping[str, Any]) -> dict[int, Looked]:
    """Return the cases of a hunt's file, by their number."""
    return {int(number): _from_json(each) for number, each in content["cases"].items()}


def _look(shared: tuple[int, Effort], number: int) -> Looked:
    seed, effort = shared
    return look(seed * 10**6 + number, effort)


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
