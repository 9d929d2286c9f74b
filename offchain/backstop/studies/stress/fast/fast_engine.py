"""Runner of a scenario's paths through the kernel, with the same rows as the exact engine."""

from __future__ import annotations

from math import floor, isinf

import numpy as np

from backstop.model.arithmetic import BASIS_POINTS
from backstop.model.stability_pool import MAX_VAULTS
from backstop.simulation.scenario import Scenario, draw_path_outcomes
from backstop.studies.stress.columns import NEVER, NO_DEBT, OutcomeColumns, Rows
from backstop.studies.stress.fast.kernel import try_run_path
from backstop.studies.stress.fast.kernel_tables import (
    AUCTION,
    BIDDER,
    EVENT,
    KEEPER,
    LIQUIDATOR,
    REPORT,
    SYSTEM,
    TYPE,
    WISH,
    Floats,
    PathConditions,
    Table,
)
from backstop.studies.stress.fast.owner_kernel import ACTIVITY, DAY, build_owner_tables
from backstop.studies.stress.fast.scenario_tables import ScenarioTables

MILLION = 10**6
ROOM = 1_024
"""Auctions that may be open at once, to begin with; a path that needs more is run again with more."""


class FastEngine:
    """Engine that runs the paths of one scenario in compiled floats, one after the other."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        """Build the scenario's tables.

        Raise BackstopError for features that this engine does not support.
        """
        self._allocate_tables(ScenarioTables.from_scenario(scenario, seed))

    @classmethod
    def from_tables(cls, tables: ScenarioTables) -> FastEngine:
        """Return an engine for scenario tables that are already built."""
        self = cls.__new__(cls)
        self._allocate_tables(tables)
        return self

    def _allocate_tables(self, tables: ScenarioTables) -> None:
        self.tables = tables
        self.columns = OutcomeColumns.from_parameters(tables.scenario.parameters)
        types, stages, vaults = len(tables.terms), len(tables.stages), len(tables.vaults)
        groups = tables.groups
        keepers = int(groups["number"].sum())
        self.kinds = np.zeros(types, dtype=TYPE)
        self.system = np.zeros(1, dtype=SYSTEM)
        self.vaults = tables.vaults.copy()
        self.heap = np.zeros(vaults, dtype=np.int64)
        self.touched = np.zeros(vaults, dtype=np.int64)
        self.owners = build_owner_tables(tables.scenario.owners, tables.vaults, tables.terms)
        self.activity = np.zeros(vaults, dtype=ACTIVITY)
        ends_at = tables.scenario.duration + tables.scenario.extra_block_count * tables.scenario.block_time
        self.daily = np.zeros((ends_at // DAY + 1, 2))
        self.stages = tables.stages.copy()
        self.events = np.zeros((types, stages), dtype=EVENT)
        self.reports = np.zeros(tables.noise.shape[:2], dtype=REPORT)
        self.keepers = np.zeros(keepers, dtype=KEEPER)
        self.buyers = np.repeat(groups["role"] == BIDDER, groups["number"])
        self.wishes = np.zeros((keepers, int(groups["most"].max())), dtype=WISH)
        self.old = self.wishes.copy()
        # Unsafe vaults found at once: twice as many as all liquidators can send for one block.
        liquidators = groups["number"] * groups["most"] * (groups["role"] == LIQUIDATOR)
        self.found = np.zeros(2 * int(liquidators.sum()) + 8, dtype=np.int64)
        # Of types that are sold at a discount or repaid by a pool all of them, as some are passed over.
        has_mechanism = tables.terms["discounted"].any() or tables.terms["pooled"].any()
        self.unsafe = np.zeros(vaults if has_mechanism else 0, dtype=np.int64)
        # Vaults of the calls of stability pools.
        self.batches = np.zeros((keepers, types, MAX_VAULTS), dtype=np.int64)
        self._allocate_auction_arrays(ROOM)

    def _allocate_auction_arrays(self, auction_capacity: int) -> None:
        self.auctions = np.zeros(auction_capacity, dtype=AUCTION)
        self.keys = np.zeros(auction_capacity)
        self.places = np.zeros(auction_capacity, dtype=np.int64)

    def run_paths(self, first: int, count: int) -> Rows:
        """Return the outcome rows of the paths `first` to `first + count - 1`."""
        return np.array([self.run_one_path(path) for path in range(first, first + count)], dtype=np.int64)

    def run_one_path(self, path: int) -> tuple[int, ...]:
        """Return the outcome row of one path, which does not depend on paths that ran before."""
        chosen = draw_path_outcomes(self.tables.scenario, self.tables.seed, path)
        return self.run_drawn_path(path, self.tables.build_path_conditions(chosen))

    def run_drawn_path(self, path: int, world: PathConditions) -> tuple[int, ...]:
        """Return the outcome row of a path with prices and other conditions already drawn.

        If the path opens more auctions than there is room for, the room is doubled and the path runs again.
        """
        tables = self.tables
        self._reset_activity()
        while not try_run_path(
            tables.setting,
            tables.gas,
            tables.terms,
            tables.groups,
            tables.mine,
            self.owners,
            world,
            self.kinds,
            self.system,
            self.vaults,
            self.activity,
            self.daily,
            self.heap,
            self.touched,
            self.auctions,
            self.stages,
            self.events,
            self.reports,
            tables.noise,
            self.keepers,
            self.wishes,
            self.old,
            self.found,
            self.unsafe,
            self.batches,
            self.keys,
            self.places,
        ):
            self._allocate_auction_arrays(2 * len(self.auctions))
            self._reset_activity()
        return self._build_row(path)

    def list_activity_by_book(self) -> Table:
        """Return the owner's actions and the liquidations of each vault on the last path.

        Vaults are in the order of the book.
        """
        found = np.zeros_like(self.activity)
        found[self.vaults["number"]] = self.activity
        return found

    def get_market_prices(self, path: int, type_index: int) -> Floats:
        """Return the outside price of a type at each block of a path [stablecoins]."""
        chosen = draw_path_outcomes(self.tables.scenario, self.tables.seed, path)
        prices: Floats = self.tables.build_path_conditions(chosen).prices[type_index]
        return prices

    def _reset_activity(self) -> None:
        self.activity[:] = 0
        self.daily[:] = 0

    def _build_row(self, path: int) -> tuple[int, ...]:
        system, kinds = self.system[0], self.kinds
        lowest = float(system["lowest_ratio"])
        left, lost = kinds["deficit"] + kinds["besides"], kinds["bad_debt"] + kinds["besides"]
        covered = NEVER if left.any() else int(system["covered_at"])
        return (
            path,
            int(system["liquidations"]),
            _stablecoins_to_millionths(system["liquidated"]),
            _stablecoins_to_millionths(lost.sum()),
            _stablecoins_to_millionths(left.sum()),
            _stablecoins_to_millionths(kinds["unsold"].sum()),
            *(_stablecoins_to_millionths(amount) for amount in self.stages["covered"]),
            int(system["first_loss_at"]),
            covered,
            NO_DEBT if isinf(lowest) else floor(lowest * BASIS_POINTS),
            _stablecoins_to_millionths(self.keepers["budget"][self.buyers].sum()),
            max(0, _stablecoins_to_millionths(kinds["virtual"].sum())),
            *(_stablecoins_to_millionths(amount) for amount in lost),
        )


def _stablecoins_to_millionths(stablecoins: float) -> int:
    return floor(stablecoins * MILLION)
