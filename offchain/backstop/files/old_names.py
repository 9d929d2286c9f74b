"""Names of earlier versions in traces and run folders, translated to the names of today by `renames.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any


class RenameTable:
    """Table of renamed identifiers: kind of name -> old name -> present name.

    A method is stored with the contract's present name in front, since several contracts may have a method of
    the same name. All other names stand alone. A revert reason that ends in ": " is a prefix.
    """

    def __init__(self, path: Path) -> None:
        self.names: dict[str, dict[str, str]] = json.loads(path.read_text(encoding="utf-8"))
        methods = self.names["methods"]
        self._contracts = {key.partition(".")[0] for key in methods}
        self._alone: dict[str, set[str]] = {}
        for key, new in methods.items():
            self._alone.setdefault(key.partition(".")[2], set()).add(new)

    def translate_name(self, kind: str, name: str) -> str:
        """Return the present name of an identifier of a kind; the same name if it was not renamed."""
        return self.names[kind].get(name, name)

    def translate_method(self, contract: str, method: str) -> str:
        """Return the present name of a contract's method; the contract has its present name.

        A contract with a name of its own, such as a bridge's, is not in the table. Its method is translated
        if the renaming is unambiguous.
        """
        known = f"{contract}.{method}" in self.names["methods"]
        if known or contract in self._contracts:
            return self.translate_name("methods", f"{contract}.{method}") if known else method
        candidates = self._alone.get(method, set())
        return next(iter(candidates)) if len(candidates) == 1 else method

    def translate_reason(self, reason: str) -> str:
        """Return the present wording of a revert reason."""
        names = self.names["reasons"]
        prefix, colon, rest = reason.partition(": ")
        return names.get(reason) or names.get(prefix + colon, prefix + colon) + rest

    def translate_keys(self, kind: str, value: Any) -> Any:
        """Return a JSON value with all keys and all texts that are old names translated."""
        if isinstance(value, Mapping):
            return {
                self.translate_name(kind, name): self.translate_keys(kind, item)
                for name, item in value.items()
            }
        if isinstance(value, list):
            return [self.translate_keys(kind, item) for item in value]
        return self.translate_name(kind, value) if isinstance(value, str) else value

    def translate_summary(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        """Return the summary of a run with present names."""
        found: dict[str, Any] = self.translate_keys("figures", summary)
        actions = found["actions"]
        reverted = {self.translate_reason(reason): n for reason, n in actions["reverted"].items()}
        return {**found, "actions": {**actions, "reverted": reverted}}

    def translate_trace(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """Return the content of a trace file with present names."""
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
    """Return the rename table shipped with the package."""
    return RenameTable(Path(__file__).with_name("renames.json"))
