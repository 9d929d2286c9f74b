"""Trials of pairs by the hunt: with the mistake in, does it tell a story that the unchanged rules do not?

The hunt is as it is: its cases, plans, alarms and thresholds know nothing of pairs. What each alarm says of
each case is kept at once, so that a run goes on where it was stopped, also with more cases; verdicts are made
of what is kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from rich.table import Table

from backstop.errors import BackstopError
from backstop.hosts.artifacts import ROOT, hash_files
from backstop.proof.mutation.pairs import Pair
from backstop.proof.mutation.witnesses import Mistake, copied
from backstop.studies.hunt.case import BOOKS, LATE, MARGIN, STUCK, TAKEN, UNEQUAL
from backstop.studies.hunted.kept import Kept
from backstop.studies.hunted.looker import Job, Look, Looker
from backstop.studies.hunted.news import Known, Told
from backstop.studies.hunted.watch import Watch

ORDER = (BOOKS, STUCK, UNEQUAL, LATE, MARGIN, TAKEN)
"""The alarms of a case, the quickest first."""
TIMES = 4
"""Cases of the unchanged rules for each that a pair is tried in: what is rare without it is rare with it."""
HARMLESS = "harmless"
"""The origin of pairs that nobody should find."""
UNCHANGED, MORE = "", "more"
"""The names under which the unchanged rules are kept: in the cases of the pairs, and in those beyond."""
# Folders of the package on which all results hang.
_LOOKED_AT = ("model", "deployment", "proof/fuzz", "studies/hunt")
Looks = dict[Job, Look]


class Verdict(NamedTuple):
    """What the hunt says of a pair."""

    pair: Pair
    # The case and the alarm that found it: by a story that is new, or because it cannot be completed.
    found: Job | None
    story: Told | None
    broken: str
    # In how many cases the unchanged rules come to what the pair changes.
    met: int

    @property
    def says(self) -> str:
        """What the story says, or what broke off."""
        return f"{self.story.kind}: {self.story.says}" if self.story else self.broken

    def to_json(self) -> dict[str, Any]:
        """Return it as an object; the size in wad."""
        case, alarm = self.found or (None, "")
        size = str(self.story.size) if self.story else ""
        fields = {"case": case, "alarm": alarm, "met": self.met, "size": size, "says": self.says}
        return {"pair": self.pair.name, "source": self.pair.source, "origin": self.pair.origin, **fields}


class Trials:
    """Pairs and the cases of one hunt."""

    def __init__(
        self,
        pairs: Sequence[Pair],
        kept: Kept,
        cases: int,
        seed: int,
        alarms: Sequence[str] = ORDER,
        stopped: Callable[[], bool] = lambda: False,
        times: int = TIMES,
    ) -> None:
        self.pairs = pairs
        self.kept = kept
        self.seed = seed
        self.stopped = stopped
        self.jobs = [(case, alarm) for case in range(cases) for alarm in ORDER if alarm in alarms]
        self.more = [(case, alarm) for case in range(cases * times) for alarm in ORDER if alarm in alarms]
        sources = [p for each in _LOOKED_AT for p in (ROOT / "offchain" / "backstop" / each).rglob("*.py")]
        self._same = repr((hash_files(sources), seed))

    def unchanged(self, show: Callable[[int], None] = lambda done: None) -> Looks:
        """Look at the unchanged rules, and note where the pairs are met.

        Raise BackstopError if a case fails: whatever a pair does in it would be missed.
        """
        looks: Looks = {}
        beyond = [job for job in self.more if job not in self.jobs]
        done = 0
        for name, pairs, jobs in ((MORE, (), beyond), (UNCHANGED, self.pairs, self.jobs)):
            key = self._key(*pairs)
            found = self.kept.looks(name, key)
            for case, alarm in self._look(name, key, Watch(pairs), found, jobs):
                if broken := found[case, alarm].broken:
                    place = f"case {case}, {alarm}"
                    raise BackstopError(f"the hunt fails under the unchanged rules: {place}: {broken}")
                done += 1
                show(done)
            looks |= found
        return looks

    def run(self, unchanged: Looks) -> Iterator[Verdict]:
        """Yield the verdict on each pair, until somebody stops it.

        Yield none if the unchanged rules were not looked at in full: nothing could be called new.
        """
        if any(job not in unchanged for job in self.more):
            return
        known = Known(story for job in self.more for story in unchanged[job].stories)
        for pair in self.pairs:
            if self.stopped():
                return
            key = self._key(pair)
            looks = self.kept.looks(pair.name, key)
            met = [job for job in self.jobs if pair.name in unchanged[job].met]
            verdict = Verdict(pair, None, None, "", len({case for case, _ in met}))
            for job in self._look(pair.name, key, pair, looks, met):
                story, broken = known.first_new(looks[job].stories), looks[job].broken
                if story is not None or broken:
                    verdict = verdict._replace(found=job, story=story, broken=broken)
                    break
            if verdict.found is None and self.stopped():
                return
            yield verdict

    def _look(
        self, name: str, key: str, mistake: Mistake, looks: Looks, jobs: Sequence[Job]
    ) -> Iterator[Job]:
        """Yield the jobs in their order, once there is something said of each; what is kept comes at once."""
        new = next((index for index, job in enumerate(jobs) if job not in looks), len(jobs))
        yield from jobs[:new]
        if new == len(jobs):
            return
        with copied(mistake) as copy, Looker(copy, self.seed, self.stopped) as looker:
            for job in jobs[new:]:
                if job not in looks:
                    look = looker.look(job)
                    if look is None:
                        return
                    looks[job] = look
                    self.kept.keep(name, key, looks)
                yield job

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
        found.add_row(each.pair.name, alarm, str(case), str(each.met), each.says)
    return found


def total(done: Iterable[Verdict]) -> str:
    """Return the sum in one line."""
    wrong = [each for each in done if each.pair.origin != HARMLESS]
    return f"found {sum(each.found is not None for each in wrong)} of {len(wrong)}"


def complaints(done: Iterable[Verdict]) -> Iterator[str]:
    """Yield what was found and harms nobody: then the hunt finds noise."""
    for each in done:
        if each.pair.origin == HARMLESS and each.found is not None:
            yield f"{each.pair.name} is harmless and was found: {each.says}"
