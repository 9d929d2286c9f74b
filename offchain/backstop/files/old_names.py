"""Names of earlier versions in traces and run folders, translated to the names of today by `renames.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any


class RenameTable:
    """A table of renames: kind of name -> old name -> new name.

    Contracts, events, parameters and figures have their old name alone. Methods have the contract's name of
    today before theirs, since one word may be a method of several. A reason that ends in ": " is a prefix.
    """

    def __init__(self, path: Path) -> None:
        self.names: dict[str, dict[str, str]] = json.loads(path.read_text(encoding="utf-8"))
        methods = self.names["methods"]
        self._contracts = {key.partition(".")[0] for key in methods}
        self._alone: dict[str, set[str]] = {}
        for key, new in methods.items():
            self._alone.setdefault(key.partition(".")[2], set()).add(new)

    def translate_name(self, kind: str, name: str) -> str:
        """Return today's name of an old one of this kind; the same name if it has not changed."""
        return self.names[kind].get(name, name)

    def translate_method(self, contract: str, method: str) -> str:
        """Return today's name of a method, of a contract under its name of today.

        Contracts with a name of their own, such as a bridge's, are told by the method: no two of their kinds
        have a renamed method of one name.
        """
        known = f"{contract}.{method}" in self.names["methods"]
        if known or contract in self._contracts:
            return self.translate_name("methods", f"{contract}.{method}") if known else method
        candidates = self._alone.get(method, set())
        return next(iter(candidates)) if len(candidates) == 1 else method

    def translate_reason(self, reason: str) -> str:
        """Return today's wording of a revert reason."""
        names = self.names["reasons"]
        prefix, colon, rest = reason.partition(": ")
        return names.get(reason) or names.get(prefix + colon, prefix + colon) + rest

    def translate_keys(self, kind: str, value: Any) -> Any:
        """Return a tree of JSON with its keys, and its texts that are names, under the names of today."""
        if isinstance(value, Mapping):
            return {
                self.translate_name(kind, name): self.translate_keys(kind, item)
                for name, item in value.items()
            }
        if isinstance(value, list):
            return [self.translate_keys(kind, item) for item in value]
        return self.translate_name(kind, value) if isinstance(value, str) else value

    def translate_summary(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        """Return a run's summary under the names of today."""
        found: dict[str, Any] = self.translate_keys("figures", summary)
        actions = found["actions"]
        reverted = {self.translate_reason(reason): n for reason, n in actions["reverted"].items()}
        return {**found, "actions": {**actions, "reverted": reverted}}

    def translate_trace(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """Return a trace file's content under the names of today."""
        steps = []
        for old in content["steps"]:
            step = dict(old)
            for key in ("contract", "create", "kind"):
                if key in step:
                    step[key] = self.translate_name("contracts", step[key])
            if "method" in step:
                step["method"] = self.translate_method(step["contract"], step["method"])
            if "state" in step:
                step["state"] = {
                    self.translate_name("contracts", name): words for name, words in step["state"].items()
                }
            steps.append(step)
        parameters = self.translate_keys("parameters", content["parameters"])
        return {**content, "parameters": parameters, "steps": steps}


@cache
def load_rename_table() -> RenameTable:
    """Return the table that the package ships."""
    return RenameTable(Path(__file__).with_name("renames.json"))
