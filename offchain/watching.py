"""What guards did in a run: margin calls and how they ended, the mode and the ceilings over time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from offchain.keepers.view import View
from offchain.model.state import Log
from offchain.runs import Row


@dataclass
class CallRecord:
    """One margin call. It ends `met`, `liquidated` (the vault, or a part of it) or `lapsed`, or is `open`."""

    collateral_type: int
    owner: str
    called_at: int
    due: int
    expires: int
    ended_at: int | None = None
    ended_by: str = "open"

    def end(self, at: int, by: str) -> None:
        """It is over."""
        self.ended_at, self.ended_by = at, by


@dataclass
class Watch:
    """Listens to the events and looks at every block."""

    calls: list[CallRecord] = field(default_factory=list)
    modes: list[tuple[int, int, int, int]] = field(default_factory=list)  # when, mode, trigger, type
    ceilings: list[tuple[int, int, int]] = field(default_factory=list)  # when, type, whole stablecoins

    def event(self, timestamp: int, log: Log) -> None:
        """An event, in the order of the chain."""
        values: tuple[Any, ...] = log.values
        if log.event == "MarginCalled":
            c, owner, due, expires = values
            self.calls.append(CallRecord(c, owner, timestamp, due, expires))
        elif log.event == "Liquidated":
            for call in self._open():
                if (call.collateral_type, call.owner) == values[1:3]:
                    call.end(timestamp, "liquidated")
        elif log.event == "ModeChanged":
            _, mode, trigger, c, _ = values
            self.modes.append((timestamp, mode, trigger, c))
        elif log.event == "ParameterChanged" and values[1] == "debt_ceiling":
            self.ceilings.append((timestamp, values[0], values[2]))

    def block(self, view: View) -> None:
        """The state after a block: which calls were met, or are over."""
        for call in self._open():
            if view.called_at(call.collateral_type, call.owner) != call.called_at:
                call.end(view.timestamp, "met")
            elif view.timestamp > call.expires:
                call.end(call.expires, "lapsed")

    def _open(self) -> list[CallRecord]:
        return [call for call in self.calls if call.ended_at is None]

    def rows(self, symbols: tuple[str, ...]) -> list[Row]:
        """The table of calls."""
        return [
            (
                each.collateral_type,
                symbols[each.collateral_type],
                each.owner,
                each.called_at,
                each.due,
                each.expires,
                each.ended_at,
                each.ended_by,
            )
            for each in self.calls
        ]
