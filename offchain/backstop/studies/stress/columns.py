"""Columns of a path's outcome: a row of 64-bit integers, the same for every engine.

Money is in millionths of a stablecoin, rounded down; times are seconds from the scenario's start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from backstop.deployment.parameter_dataclasses import Parameters
from backstop.model.arithmetic import RAD

MICRO = RAD // 10**6
"""Millionth of a stablecoin [rad]."""

NEVER = -1
"""Time of an event that did not happen."""

NO_DEBT = -1
"""Lowest ratio of a path without any debt."""

Rows = npt.NDArray[np.int64]
"""Outcomes: a row for each path, a column for each name of `Columns.names`."""

_BEFORE = ("path", "liquidations", "liquidated_debt", "bad_debt", "outstanding", "unsold")
_AFTER = ("first_loss_at", "covered_at", "lowest_ratio", "buyers_left", "depth_missing")


@dataclass(frozen=True)
class OutcomeColumns:
    """Column layout of path outcomes, for the waterfall's stages and the types of a scenario.

    The types are those of collateral, followed by facilitators. Each path has one row with these columns:

    `path`: number of the path in the study.
    `liquidations`: number of liquidations of vaults.
    `liquidated_debt`: principal that was liquidated.
    `bad_debt`: recognised losses of all types, and further losses when the path ends. Further losses are the
        principal in auctions, as their lots had no buyer for a day, and the debt of vaults and workouts
        (vaults repaid in instalments) beyond their collateral's worth at the market's price.
    `bad_debt_TYPE`: the same for one type. These are the last columns.
    `outstanding`: bad debt still unpaid when the path ended. The stages have not been called for the last
        auction's loss then, so this is an upper bound of the final unpaid loss.
    `unsold`: debt with collateral still to be sold at the end: the principal in auctions, and the debt of
        unsafe vaults. A path continues at its last prices until this is zero, for a day at most.
    `covered_STAGE`: payments of a stage, in the order of the waterfall.
    `first_loss_at`: time at which bad debt was first recognised. NEVER if no bad debt was recognised.
    `covered_at`: time at which the last outstanding loss was paid. NEVER if no bad debt was recognised, or if
        some is left.
    `lowest_ratio`: lowest ratio of collateral to debt at the end of any block, in basis points, rounded down.
        Collateral is that of vaults, auctions and workouts at the market's price. Debt is theirs and the
        outstanding loss. NO_DEBT if there never was any debt.
    `buyers_left`: stablecoins that bidders still have when the path ends.
    `depth_missing`: depth that the markets lack at the end, as too few stablecoins circulate.
    """

    stages: tuple[str, ...]
    types: tuple[str, ...]

    @classmethod
    def from_parameters(cls, parameters: Parameters) -> OutcomeColumns:
        """Return the columns for the stages, collateral types and facilitators of these parameters."""
        return cls(
            tuple(stage.name for stage in parameters.stages), parameters.collateral_and_facilitator_names
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns, in the order of a row."""
        covered = (f"covered_{stage}" for stage in self.stages)
        by_type = (f"bad_debt_{name}" for name in self.types)
        return (*_BEFORE, *covered, *_AFTER, *by_type)

    def get_index(self, name: str) -> int:
        """Return the index in a row of the column with this name.

        Raises ValueError if there is no column with this name.
        """
        return self.names.index(name)

    def build_row(
        self,
        *,
        path: int,
        liquidations: int,
        liquidated_debt: int,
        bad_debt: Sequence[int],
        lost_besides: Sequence[int],
        outstanding: int,
        unsold: int,
        covered: Sequence[int],
        first_loss_at: int = NEVER,
        covered_at: int = NEVER,
        lowest_ratio: int = NO_DEBT,
        buyers_left: int = 0,
        depth_missing: int = 0,
    ) -> tuple[int, ...]:
        """Return the outcome row of one path from amounts in rad.

        Amounts become millionths of a stablecoin, rounded down. `bad_debt` has the recognised loss of each
        type, `lost_besides` the further loss of each type at the end, and `covered` the payments of each
        stage. With any further loss, the column `covered_at` is NEVER.
        """
        left = sum(lost_besides)
        lost = [recognised + later for recognised, later in zip(bad_debt, lost_besides, strict=True)]
        return (
            path,
            liquidations,
            liquidated_debt // MICRO,
            sum(lost) // MICRO,
            (outstanding + left) // MICRO,
            unsold // MICRO,
            *(amount // MICRO for amount in covered),
            first_loss_at,
            NEVER if left else covered_at,
            lowest_ratio,
            buyers_left // MICRO,
            depth_missing // MICRO,
            *(amount // MICRO for amount in lost),
        )
