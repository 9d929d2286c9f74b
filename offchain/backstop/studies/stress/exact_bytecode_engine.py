"""Exact engine: each path of a study on the compiled contracts, with the keepers of a simulation.

The contracts are deployed and the book is opened once; every path starts from there and is undone at its end.
Each action runs on the bytecode in process and on the model: the value it returns, its revert reason, its
events and every slot that the model wrote are compared. Keepers read the model, which is thereby confirmed to
equal the contracts.
"""

from __future__ import annotations

import numpy as np

from backstop.contract_base import Log
from backstop.deployment.configuration_calls import apply_configuration
from backstop.deployment.model_and_chain_deployment import create_model, deploy_protocol
from backstop.deployment.planned_contracts import plan_deployment
from backstop.errors import BackstopError
from backstop.hosts.revm import RevmHost
from backstop.keepers.keeper_view import KeeperView
from backstop.keepers.view_records import Auction, Workout
from backstop.model.arithmetic import BASIS_POINTS, RAY
from backstop.proof.lockstep import ProtocolLockstep
from backstop.simulation.deployment_session import Session
from backstop.simulation.run_recorder import RunRecorder
from backstop.simulation.scenario import Scenario
from backstop.simulation.scenario.draw_scenario import draw_scenario
from backstop.simulation.simulator import Simulation
from backstop.studies.stress.columns import NEVER, NO_DEBT, OutcomeColumns, Rows
from backstop.system import Action, Outcome

PATHS_A_CHAIN = 64
"""Paths after which a new chain begins, as memory grows with every call, undone or not."""


# Each with its principal in the same place.
_LIQUIDATIONS = (("CollateralAuction", "AuctionStarted"), ("LiquidationEngine", "CollateralSold"))


class OutcomeRecorder(RunRecorder):
    """Recorder of one path that collects only the figures of an outcome row."""

    def __init__(self, columns: OutcomeColumns, scenario: Scenario) -> None:
        super().__init__(scenario.symbols, columns.stages, columns.types)
        self.columns = columns
        self.start = scenario.start
        self.liquidations = 0
        self.liquidated = 0
        self.bad_debt = [0] * len(columns.types)
        self.lost_besides = [0] * len(columns.types)
        self.outstanding = 0
        self.unsold = 0
        self.first_loss_at = NEVER
        self.covered_at = NEVER
        self.lowest_ratio = NO_DEBT
        self.buyers_left = 0
        self.depth_missing = 0

    def record_action(
        self,
        step: int,
        timestamp: int,
        action: Action,
        sender_name: str,
        outcome: Outcome,
        market_prices: tuple[int, ...],
    ) -> None:
        """Add the liquidations in an action's logs, and the losses that it recognised or covered."""
        for log in outcome.logs:
            if (log.contract, log.event) in _LIQUIDATIONS:
                self.liquidations += 1
                self.liquidated += log.values[6]
            elif log.contract == "LossWaterfall":
                self._record_loss(step, timestamp, log)
            elif log.contract == "Settlement":
                self._record_settlement(log, market_prices)

    def _record_loss(self, step: int, timestamp: int, log: Log) -> None:
        if log.event == "LossRecognised":
            c, _, amount = log.values
            self.bad_debt[c] += amount
            if self.first_loss_at == NEVER:
                self.first_loss_at = timestamp - self.start
        elif log.event == "LossCovered":
            _, _, stage, amount = log.values
            self.covered[self.stages[stage]] += amount

    def record_block(self, view: KeeperView, gas_price: int, pending: int) -> None:
        """Record the outstanding losses and the ratio of collateral to debt at the end of a block."""
        deficits = [view.get_deficit(c) for c in view.types]
        self.outstanding = sum(deficits) + self.loss_borne_by_holders
        if self.outstanding:
            self.covered_at = NEVER
        elif self.first_loss_at != NEVER and self.covered_at == NEVER:
            self.covered_at = view.timestamp - self.start
        prices = view.outside.prices
        # The debt of facilitators is backed elsewhere, so only their deficits count.
        count = len(self.symbols)
        debt = sum(view.get_type_debt(c) for c in range(count)) + sum(deficits[count:])
        if debt:
            positions: list[Auction | Workout] = [*view.auctions, *view.workouts]
            worth = sum(view.get_locked_collateral(c) * prices[c] for c in range(count))
            worth += sum(each.lot * prices[each.collateral_type] for each in positions)
            ratio = min(worth * BASIS_POINTS // debt, 2**63 - 1)
            if self.lowest_ratio == NO_DEBT or ratio < self.lowest_ratio:
                self.lowest_ratio = ratio

    def record_end(self, run: Simulation) -> None:
        """Record the unsold debt at the path's end, and the further loss of each type.

        The further loss is principal in auctions, and debt of vaults and workouts beyond their collateral's
        worth. The remaining capital of bidders and the missing depth of markets are recorded too.
        """
        view = run.build_keeper_view()
        buyers = (group for group in run.scenario.keepers if group.role == "bidder")
        names = (name for group in buyers for name in group.list_keeper_names())
        self.buyers_left = sum(run.get_stablecoin_balance(run.register_account(name)) for name in names) * RAY
        pools = (view.find_constant_product_pool(c) for c in range(len(run.scenario.symbols)))
        self.depth_missing = sum(pool.virtual for pool in pools if pool is not None) * RAY
        self.unsold = run.sum_auctioned_and_unsafe_debt()
        for c, price in enumerate(view.outside.prices):
            of_workouts = (
                max(0, each.principal - each.lot * price)
                for each in view.workouts
                if each.collateral_type == c
            )
            self.lost_besides[c] = view.sum_vault_shortfalls_at_price(c, price) + sum(of_workouts)
        for auction in view.auctions:
            self.lost_besides[auction.collateral_type] += auction.principal

    def build_row(self, path: int) -> tuple[int, ...]:
        """Return the outcome row of the path with the number `path`."""
        return self.columns.build_row(
            path=path,
            liquidations=self.liquidations,
            liquidated_debt=self.liquidated,
            bad_debt=self.bad_debt,
            lost_besides=self.lost_besides,
            outstanding=self.outstanding,
            unsold=self.unsold,
            covered=tuple(self.covered.values()),
            first_loss_at=self.first_loss_at,
            covered_at=self.covered_at,
            lowest_ratio=self.lowest_ratio,
            buyers_left=self.buyers_left,
            depth_missing=self.depth_missing,
        )


class ExactEngine:
    """Engine that runs the paths of one scenario on contracts and model, one by one."""

    def __init__(self, scenario: Scenario, seed: int, *, on_bytecode: bool = True) -> None:
        """Prepare the engine; contracts are deployed when the first path runs.

        With `on_bytecode=False` the contracts are left out, and paths run on the model alone.
        """
        self.scenario = scenario
        self.seed = seed
        self.on_bytecode = on_bytecode
        self.columns = OutcomeColumns.from_parameters(scenario.parameters)
        self._session: Session | None = None
        self._opened_at: list[int] = []
        self._paths = 0

    def run_paths(self, first: int, count: int) -> Rows:
        """Return the outcome rows of the paths `first` to `first + count - 1`."""
        return np.array([self.run_one_path(path) for path in range(first, first + count)], dtype=np.int64)

    def run_one_path(self, path: int) -> tuple[int, ...]:
        """Return the outcome row of one path, which does not depend on paths that ran before.

        Raises BackstopError with the path's number if the simulation fails.
        """
        chosen = draw_scenario(self.scenario, self.seed, path)
        tally = OutcomeRecorder(self.columns, chosen)
        try:
            session = self._get_session(chosen)
            with session.both.fork_state() if session.both is not None else session.model.fork_state():
                simulation = Simulation(chosen, session, self.seed, tally)
                simulation.run_blocks(_ignore_progress, _never_stop)
                simulation.run_until_sold(_never_stop)
                tally.record_end(simulation)
        except BackstopError as error:
            # A plain error, which can be pickled, as it may come from another process.
            raise BackstopError(f"path {path}: {error}") from error
        return tally.build_row(path)

    def _get_session(self, chosen: Scenario) -> Session:
        """Return a session with the vaults opened: the cached session if its first prices are the same.

        A new session is opened after PATHS_A_CHAIN paths.
        """
        prices = [chosen.feed_prices.get(symbol, chosen.prices[symbol]) for symbol in chosen.symbols]
        begins = [price.points[0] for price in (*chosen.prices.values(), *prices)]
        if self._session is None or self._opened_at != begins or self._paths >= PATHS_A_CHAIN:
            self._session, self._opened_at, self._paths = self._open_session(chosen), begins, 0
        self._paths += 1
        return self._session

    def _open_session(self, chosen: Scenario) -> Session:
        started_at = chosen.deployed_at
        both = None
        if self.on_bytecode:
            _, model, chain = deploy_protocol(RevmHost(started_at), chosen.parameters)
            assert chain is not None
            both = ProtocolLockstep(model, chain, parameters=chosen.parameters, seed=self.seed, check_every=0)
        else:
            deployment = plan_deployment(chosen.parameters)
            model = create_model(deployment, started_at)
            apply_configuration(model, deployment)
        session = Session(both or model, model, both, started_at)
        Simulation(chosen, session, self.seed).open_book(_ignore_progress, _never_stop)
        return session


def _ignore_progress(done: int, total: int, text: str) -> None:
    pass


def _never_stop() -> bool:
    return False
