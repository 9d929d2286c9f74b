"""Trials of pairs by the hunt: with the mistake in, does it tell a story that the unchanged rules do not give?

The hunt is as it is: its cases, plans, alarms and thresholds know nothing of pairs. What each alarm says of
each case is kept at once, so that a run goes on where it was stopped, also with more cases; verdicts are made
of what is kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.table import Table

from backstop.errors import BackstopError
from backstop.files.whole import read_json, write_json
from backstop.hosts.artifacts import ROOT, digest
from backstop.proof.mutation.pairs import Pair
from backstop.proof.mutation.witnesses import Mistake, copied
from backstop.studies.hunt.case import MARGIN, STUCK, TAKEN, UNEQUAL
from backstop.studies.hunted.looker import Look, Looker
from backstop.studies.hunted.news import Known, Told, first_new
from backstop.studies.hunted.watch import Watch

SCHEMA_VERSION = 1
ORDER = (STUCK, UNEQUAL, MARGIN, TAKEN)
"""The alarms of a case, the quickest first."""
TIMES = 2
"""Cases of the unchanged rules for each that a pair is tried in: what is rare without it is rare with it."""
# Folders of the package on which all results hang.
_LOOKED_AT = ("model", "deployment", "proof/fuzz", "studies/hunt")
Looks = dict[tuple[int, str], Look]


class Verdict(NamedTuple):
    """What the hunt says of a pair."""

    pair: Pair
    # The case and the alarm that found it: by a story that is new, or because it cannot be completed.
    found: tuple[int, str] | None
    story: Told | None
    broken: str
    # In how many cases the unchanged rules come to what the pair changes.
    met: int


class Kept:
    """What was said so far, in one file: of the unchanged rules, and with each pair."""

    def __init__(self, file: Path, fresh: bool = False) -> None:
        self.file = file
        self._found: dict[str, dict[str, Any]] = {}
        if file.exists() and not fresh:
            mend = "choose another --out, or remove it"
            content = read_json(file, "file of trials", SCHEMA_VERSION, "run it first", mend)
            try:
                self._found = {name: {"key": each["key"], **each} for name, each in content["looks"].items()}
                for name in self._found:
                    self.looks(name, self._found[name]["key"])
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise BackstopError(f"{file} is not a whole file of trials ({error!r}): {mend}") from None

    def looks(self, name: str, key: str) -> Looks:
        """Return what is known of a pair and still holds."""
        each = self._found.get(name)
        return {} if each is None or each["key"] != key else dict(map(_read, each["cases"]))

    def keep(self, name: str, key: str, looks: Looks) -> None:
        """Keep what was said of a pair, at once also on disk."""
        cases = [
            {
                "case": case,
                "alarm": alarm,
                "stories": [{"kind": s.kind, "size": str(s.size), "says": s.says} for s in look.stories],
                "met": list(look.met),
                "broken": look.broken,
            }
            for (case, alarm), look in sorted(looks.items())
        ]
        self._found[name] = {"key": key, "cases": cases}
        write_json({"schema_version": SCHEMA_VERSION, "looks": self._found}, self.file)


def _read(entry: dict[str, Any]) -> tuple[tuple[int, str], Look]:
    case, alarm = int(entry["case"]), str(entry["alarm"])
    stories = tuple(
        Told(case, alarm, str(s["kind"]), int(s["size"]), str(s["says"])) for s in entry["stories"]
    )
    return (case, alarm), Look(stories, tuple(entry["met"]), str(entry["broken"]))


class Trials:
    """Pairs and the cases of one hunt."""

    UNCHANGED = ""
    """The name under which the unchanged rules are kept."""

    def __init__(
        self,
        pairs: Sequence[Pair],
        kept: Kept,
        cases: int,
        seed: int,
        alarms: Sequence[str] = ORDER,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self.pairs = pairs
        self.kept = kept
        self.seed = seed
        self.stopped = stopped
        self.jobs = [(case, alarm) for case in range(cases) for alarm in ORDER if alarm in alarms]
        self.more = [(case, alarm) for case in range(cases * TIMES) for alarm in ORDER if alarm in alarms]
        sources = [p for each in _LOOKED_AT for p in (ROOT / "offchain" / "backstop" / each).rglob("*.py")]
        self._same = repr((digest(sources), seed))

    def unchanged(self, show: Callable[[int, int], None] = lambda done, all: None) -> Looks:
        """Look at the unchanged rules, and note where the pairs are met."""
        key = self._key(*self.pairs)
        looks = self.kept.looks(self.UNCHANGED, key)
        for done, _ in enumerate(self._look(self.UNCHANGED, key, Watch(self.pairs), looks, self.more)):
            show(done + 1, len(self.more))
        return looks

    def run(self, unchanged: Looks) -> Iterator[Verdict]:
        """Yield the verdict on each pair, until somebody stops it."""
        known = Known(story for look in unchanged.values() for story in look.stories)
        for pair in self.pairs:
            key = self._key(pair)
            looks = self.kept.looks(pair.name, key)
            met = [job for job in self.jobs if pair.name in unchanged[job].met]
            for job in self._look(pair.name, key, pair, looks, met):
                if looks[job].broken or first_new(looks[job].stories, known):
                    break
            if self.stopped():
                return
            yield self._verdict(pair, looks, met, known)

    def _look(
        self, name: str, key: str, mistake: Mistake, looks: Looks, jobs: Sequence[tuple[int, str]]
    ) -> Iterator[tuple[int, str]]:
        """Yield the jobs in their order, once there is something said of each."""
        for index, job in enumerate(jobs):
            if job not in looks:
                break
            yield job
        else:
            return
        with copied(mistake) as copy, Looker(copy, self.seed, self.stopped) as looker:
            for job in jobs[index:]:
                if job not in looks:
                    look = looker.look(*job)
                    if look is None:
                        return
                    looks[job] = look
                    self.kept.keep(name, key, looks)
                yield job

    def _verdict(self, pair: Pair, looks: Looks, met: Sequence[tuple[int, str]], known: Known) -> Verdict:
        where = len({case for case, _ in met})
        for job in met:
            look = looks.get(job, Look())
            story = first_new(look.stories, known)
            if story is not None or look.broken:
                return Verdict(pair, job, story, look.broken, where)
        return Verdict(pair, None, None, "", where)

    def _key(self, *pairs: Pair) -> str:
        return hashlib.sha256(f"{self._same} {' '.join(map(str, pairs))}".encode()).hexdigest()[:24]


def table(done: Iterable[Verdict]) -> Table:
    """Return a table with a row for each pair."""
    found = Table("pair", "found by", box=None, pad_edge=False)
    found.add_column("case", justify="right")
    found.add_column("met in", justify="right")
    found.add_column("what it says")
    for each in done:
        case, alarm = each.found or ("", "nobody")
        says = f"{each.story.kind}: {each.story.says}" if each.story else each.broken
        found.add_row(each.pair.name, alarm, str(case), str(each.met), says)
    return found


def total(done: Sequence[Verdict]) -> str:
    """Return the sum in one line."""
    return f"found {sum(each.found is not None for each in done)} of {len(done)}"
