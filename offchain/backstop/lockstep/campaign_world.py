"""The world of a campaign's models, which takes back plain attributes with the tables."""

from __future__ import annotations

from collections import Counter, defaultdict
from copy import deepcopy
from typing import Any

from backstop.contract_base import Contract, Table, World
from backstop.errors import BackstopError

_PLAIN = (int, str, bytes, type(None), Table, Contract, World)
"""Values that are bound anew and never changed, or that are taken back in another way."""
_RESTORED = (dict, defaultdict, Counter, list, set)
"""Containers that a rollback fills with their former content; it replaces other values by a copy."""


class CampaignWorld(World):
    """World (state of all models) with a rollback that also restores attributes of the models.

    A user's model may keep data outside its contract's storage in plain attributes, such as dictionaries or
    counters. A rollback restores containers in place, so that other references to them see it.
    """

    def mark(self) -> Any:
        """Return a savepoint for `roll_back`. Savepoints can be nested."""
        return (*super().mark(), self._copy_attributes())

    def roll_back(self, mark: Any) -> None:
        """Undo each storage write, event and change of an attribute since the savepoint `mark`."""
        super().roll_back(mark)
        changed = [each for attributes in mark[2].values() for each in attributes.values()]
        memo = self._build_memo()
        memo |= {id(copied): value for value, copied in changed if type(value) in _RESTORED}
        for name, attributes in mark[2].items():
            found = vars(self.contracts[name])
            found.clear()
            for attribute, (value, copied) in attributes.items():
                found[attribute] = value
                if value is copied:
                    continue
                if type(value) in _RESTORED:
                    _restore_container(value, deepcopy([*_list_content(copied)], memo))
                else:
                    found[attribute] = deepcopy(copied, memo)

    def _copy_attributes(self) -> dict[str, dict[str, tuple[Any, Any]]]:
        """Return each contract's attributes, each with a deep copy if it is mutable."""
        memo: dict[int, Any] | None = None
        found: dict[str, dict[str, tuple[Any, Any]]] = {}
        for name, contract in self.contracts.items():
            attributes = found.setdefault(name, {})
            for attribute, value in vars(contract).items():
                copied = value
                if not isinstance(value, _PLAIN) and attribute != "tables":
                    memo = self._build_memo() if memo is None else memo
                    try:
                        copied = deepcopy(value, memo)
                    except Exception:  # deepcopy raises what the value's class raises
                        raise BackstopError(
                            f"{type(contract).__name__}.{attribute} is a {type(value).__name__}, which "
                            "cannot be copied: a revert could not take it back"
                        ) from None
                attributes[attribute] = value, copied
        return found

    def _build_memo(self) -> dict[int, Any]:
        """Return the `deepcopy` memo that keeps the world, its contracts and their tables uncopied."""
        kept: list[Any] = [self, self.journal, self.logs]
        for contract in self.contracts.values():
            kept += [contract, contract.tables, *contract.tables.values()]
        return {id(each): each for each in kept}


def _list_content(container: Any) -> Any:
    return container.items() if isinstance(container, dict) else container


def _restore_container(container: Any, content: list[Any]) -> None:
    """Replace the content of a dictionary, list or set by `content`, in place."""
    container.clear()
    if isinstance(container, dict):
        dict.update(container, content)  # a Counter's own would add
    elif isinstance(container, list):
        container.extend(content)
    else:
        container.update(content)
