"""What alarms said of cases, in one file: with the unchanged rules, and with each pair."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backstop.errors import BackstopError
from backstop.files.atomic_files import read_json, write_json
from backstop.studies.hunted.looker import Job, Look
from backstop.studies.hunted.news import Told

SCHEMA_VERSION = 1


class Kept:
    """The file; a look holds as long as its key is the same."""

    def __init__(self, file: Path, fresh: bool = False) -> None:
        self.file = file
        self._found: dict[str, dict[str, Any]] = {}
        if file.exists() and not fresh:
            mend = "choose another --out, or remove it"
            content = read_json(file, "file of trials", SCHEMA_VERSION, "run it first", mend)
            try:
                self._found = dict(content["looks"])
                for name, each in self._found.items():
                    self.looks(name, each["key"])
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise BackstopError(f"{file} is not a whole file of trials ({error!r}): {mend}") from None

    def looks(self, name: str, key: str) -> dict[Job, Look]:
        """Return what is known of a pair and still holds."""
        each = self._found.get(name)
        return {} if each is None or each["key"] != key else dict(map(_read, each["cases"]))

    def keep(self, name: str, key: str, looks: dict[Job, Look]) -> None:
        """Keep what was said of a pair, at once also on disk."""
        cases = [_written(job, look) for job, look in sorted(looks.items())]
        self._found[name] = {"key": key, "cases": cases}
        write_json({"schema_version": SCHEMA_VERSION, "looks": self._found}, self.file)


def _written(job: Job, look: Look) -> dict[str, Any]:
    stories = [{"kind": each.kind, "size": str(each.size), "says": each.says} for each in look.stories]
    said = {"stories": stories, "met": list(look.met), "broken": look.broken}
    return {"case": job[0], "alarm": job[1], **said}


def _read(entry: dict[str, Any]) -> tuple[Job, Look]:
    case, alarm = job = int(entry["case"]), str(entry["alarm"])
    stories = (
        Told(case, alarm, str(each["kind"]), int(each["size"]), str(each["says"]))
        for each in entry["stories"]
    )
    return job, Look(tuple(stories), tuple(map(str, entry["met"])), str(entry["broken"]))
