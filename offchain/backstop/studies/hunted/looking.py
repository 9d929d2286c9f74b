"""A process that looks at one case by one alarm for each line it is asked: what runs in a changed copy.

Asked for `[seed, alarm]` it answers with the stories, and with the pairs whose place in the model was met
on the way, as far as the copy says so (`watch`).
"""

from __future__ import annotations

import builtins
import json
import sys
from collections.abc import Iterable, Iterator

from backstop.studies.hunt.case import TAKEN, Effort, look
from backstop.studies.hunt.search import Hunter, draw_case
from backstop.studies.hunt.telling import group
from backstop.studies.hunted.watch import MET


def answers(questions: Iterable[str]) -> Iterator[str]:
    """Yield an answer for each question."""
    met: set[str] = set()
    setattr(builtins, MET, met.add)
    lessons: set[str] | None = None
    for question in questions:
        seed, alarm = json.loads(question)
        if alarm == TAKEN and lessons is None:
            # What all searches learn from is met in each of them.
            met.clear()
            Hunter(draw_case(seed))
            lessons = set(met)
        met.clear()
        stories = group([look(seed, Effort((alarm,)))])
        if alarm == TAKEN:
            met |= lessons or set()
        told = [{"kind": each.kind, "size": str(each.size), "says": each.says} for each in stories]
        yield json.dumps({"stories": told, "met": sorted(met)})


if __name__ == "__main__":
    for answer in answers(sys.stdin):
        print(answer, flush=True)
