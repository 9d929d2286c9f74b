"""The record of guards in a run: margin calls, workouts and how they ended, the mode and the ceilings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from backstop.contract_base import Log
from backstop.keepers.keeper_view import KeeperView
from backstop.keepers.view_records import Workout
from backstop.simulation.run_directory import Row


@dataclass
class MarginCallRecord:
    """Record of one margin call and its end.

    `ended_by` is `met`, `liquidated` (at least in part), `restructured`, `lapsed`, or `open`.
    """

    collateral_type: int
    owner: str
    called_at: int
    due: int
    expires: int
    ended_at: int | None = None
    ended_by: str = "open"

    def end_call(self, at: int, by: str) -> None:
        """Set the time and the reason of the call's end."""
        self.ended_at, self.ended_by = at, by


@dataclass
class WorkoutRecord:
    """Record of one workout (a called vault repaid in instalments) and its end.

    `ended_by` is `completed`, `foreclosed`, `unwound` (in settlement), or `open`.
    """

    id: int
    collateral_type: int
    owner: str
    entered_at: int
    lot: int  # wad
    principal: int  # rad
    owed: int  # wad
    instalments: int
    paid: int = 0  # wad
    ended_at: int | None = None
    ended_by: str = "open"


_ENDS = {"Completed": "completed", "Foreclosed": "foreclosed", "WorkoutUnwound": "unwound"}


@dataclass
class GuardRecorder:
    """Recorder of margin calls, workouts, risk modes and debt ceilings in a run."""

    calls: list[MarginCallRecord] = field(default_factory=list)
    workouts: dict[int, WorkoutRecord] = field(default_factory=dict)
    modes: list[tuple[int, int, int, int]] = field(default_factory=list)  # when, mode, trigger, type
    ceilings: list[tuple[int, int, int]] = field(default_factory=list)  # when, type, whole stablecoins

    def record_event(self, timestamp: int, log: Log) -> None:
        """Update the record for one event; events must come in the order of the chain."""
        values: tuple[Any, ...] = log.values
        if log.event == "MarginCalled":
            c, owner, due, expires = values
            self.calls.append(MarginCallRecord(c, owner, timestamp, due, expires))
        elif log.event == "Liquidated" and log.contract == "LiquidationEngine":
            self._end_margin_calls(timestamp, *values[1:3], outcome="liquidated")
        elif log.event == "CollateralSold":
            self._end_margin_calls(timestamp, *values[:2], outcome="liquidated")
        elif log.contract == "Workouts":
            self._record_workout(timestamp, log.event, values)
        elif log.event == "ModeChanged":
            _, mode, trigger, c, _ = values
            self.modes.append((timestamp, mode, trigger, c))
        elif log.event == "ParameterChanged" and values[1] == "debt_ceiling":
            self.ceilings.append((timestamp, values[0], values[2]))

    def record_preexisting_workout(self, workout: Workout) -> None:
        """Record a workout that was open before the run, with its present collateral and principal."""
        known = WorkoutRecord(
            workout.id,
            workout.collateral_type,
            workout.owner,
            workout.entered_at,
            workout.lot,
            workout.principal,
            workout.owed,
            workout.instalments,
            workout.owed - workout.left,
        )
        self.workouts.setdefault(workout.id, known)

    def _end_margin_calls(self, timestamp: int, collateral_type: int, owner: str, *, outcome: str) -> None:
        for call in self._list_open_calls():
            if (call.collateral_type, call.owner) == (collateral_type, owner):
                call.end_call(timestamp, outcome)

    def _record_workout(self, timestamp: int, event: str, values: tuple[Any, ...]) -> None:
        if event == "Entered":
            workout_id, c, owner, *terms = values
            self.workouts[workout_id] = WorkoutRecord(workout_id, c, owner, timestamp, *terms)
            self._end_margin_calls(timestamp, c, owner, outcome="restructured")
        elif event == "Paid":
            self.workouts[values[0]].paid += values[2]
        elif event in _ENDS:
            workout = self.workouts[values[0]]
            workout.ended_at, workout.ended_by = timestamp, _ENDS[event]

    def end_met_or_lapsed_vault_calls(self, view: KeeperView) -> None:
        """End the recorded margin calls that were met or have lapsed by this block."""
        for call in self._list_open_calls():
            if view.get_vault(call.collateral_type, call.owner).called_at != call.called_at:
                call.end_call(view.timestamp, "met")
            elif view.timestamp > call.expires:
                call.end_call(call.expires, "lapsed")

    def _list_open_calls(self) -> list[MarginCallRecord]:
        return [call for call in self.calls if call.ended_at is None]

    def list_workout_rows(self, symbols: tuple[str, ...]) -> list[Row]:
        """Return the rows of the run's table `workouts`."""
        return [
            (
                each.id,
                each.collateral_type,
                symbols[each.collateral_type],
                each.owner,
                each.entered_at,
                each.ended_at,
                each.ended_by,
                each.lot,
                each.principal,
                each.owed,
                each.paid,
                each.instalments,
            )
            for each in self.workouts.values()
        ]

    def list_margin_call_rows(self, symbols: tuple[str, ...]) -> list[Row]:
        """Return the rows of the run's table `calls`."""
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
