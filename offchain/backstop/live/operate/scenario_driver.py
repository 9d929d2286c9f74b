"""A scenario that is driven against a deployment on an Anvil or a Hardhat.

The scenario sets the environment: time, vaults, reporters, the market's liquidity. Actions of separately
running keepers are read from the blocks. The scenario starts at a midnight, as in its file, but on the first
day that lies fully ahead of the chain's time.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

from backstop.deployment.parameter_dataclasses import Parameters
from backstop.deployment.role_accounts import ACCOUNTS, get_account
from backstop.errors import BackstopError, describe_choices
from backstop.files.installation import format_command_as_started
from backstop.keepers.all_role_names import ROLES
from backstop.keepers.call_costs import convert_gas_to_stablecoin
from backstop.keepers.keeper_group_settings import GasPolicy, KeeperGroup
from backstop.keepers.keeper_role_register import Keeper
from backstop.keepers.keeper_view import KeeperView
from backstop.keepers.view_records import MarketData
from backstop.live.mirror.chain_mirror import MinedCall
from backstop.live.operate.live_roles import ROLES as LIVE_ROLES
from backstop.live.operate.live_system import LiveSystem
from backstop.model.interfaces import Vault
from backstop.simulation.book_opening import give_keeper_capital, record_opening_auctions
from backstop.simulation.deployment_session import Session
from backstop.simulation.progress_and_interruption import Progress, RunInterruptedError
from backstop.simulation.run_directory import write_run
from backstop.simulation.run_metadata import build_run_metadata
from backstop.simulation.scenario import Scenario
from backstop.simulation.scenario_run_state import KeeperState
from backstop.simulation.simulator import RunResult, Simulation
from backstop.system import Action, Outcome

DAY = 86_400
PLAYED = ("reporter", "poker")
"""The roles that the crash itself plays if not told otherwise: prices have to come from somewhere."""

# Of the stablecoin.
_TOO_LITTLE = "erc20: transfer amount exceeds balance"

# Accounts that are no keepers.
_SETTING = ("admin", "guardian", "market_maker", "saver", "borrower")


class LiveSimulation(Simulation):
    """Simulation of a scenario on a live test chain, which also records the calls of other processes."""

    def __init__(
        self, scenario: Scenario, system: LiveSystem, seed: int, speed: float, played: tuple[str, ...]
    ) -> None:
        _check_fits(scenario, system)
        self.live = system
        self.speed = speed
        self.suffix = ""
        self.opening = system.timestamp + _longest_step(system.deployment.parameters)
        self.capitals: dict[str, int] = {}  # of the roles that others play
        for group in scenario.keepers:
            if group.role not in played:
                self.capitals[group.role] = self.capitals.get(group.role, 0) + group.count * group.capital
        scenario = dataclasses.replace(
            scenario,
            start=_next_midnight(self.opening + scenario.opened_before),
            parameters=system.deployment.parameters,
            keepers=tuple(group for group in scenario.keepers if group.role in played),
            opening=None,  # the chain has its own
        )
        # What a Simulation asks of a Lockstep, a LiveSystem can do as well.
        session = Session(system, system.mirror.model, cast(Any, system), self.opening)
        super().__init__(scenario, session, seed)
        self.gas_price = system.node.offer_fees().expected
        self._find_suffix()
        system.drain_mined_calls()  # what was before is not this run's
        record_opening_auctions(self)

    def register_account(self, name: str) -> str:
        """Return the address of an account's name, and remember the name for reports.

        A role's address comes from the deployment. Other names get a suffix if their vaults are already in
        use.
        """
        known = name in ACCOUNTS or name in self.live.deployment.accounts
        address = self.live.deployment.get_account(name) if known else get_account(name + self.suffix)
        self.names[address] = name
        return address

    def _find_suffix(self) -> None:
        vaults, number = self.session.model.world.contracts["VaultEngine"].tables["vaults"], 1
        symbols = self.scenario.symbols
        while any(
            vaults[symbols.index(each.symbol), get_account(each.owner + self.suffix)] != Vault()
            for each in self.book
        ):
            number += 1
            self.suffix = f", run {number}"

    # ------------------------------------------------------------------- actions

    def apply(self, action: Action) -> Outcome:
        """Send one call, record all calls mined up to its block, and return its outcome."""
        outcome = self.live.apply(action)
        self.record_mined()
        return outcome

    def record_mined(self) -> None:
        """Record the mined calls of all senders since the last record.

        Raise BackstopError if model and chain differ.
        """
        self.live.follow_chain()
        self.live.raise_differences()
        for seen in self.live.drain_mined_calls():
            self._record_call(seen)

    def _record_call(self, seen: MinedCall) -> None:
        action, outcome = seen.action, seen.outcome
        own = seen.transaction in self.live.sent_transactions
        self.live.sent_transactions.discard(seen.transaction)
        if not own:
            self._require_not_played_here(seen)
        self.record_step(seen.timestamp, seen.block, action, outcome)
        state = self.by_address.get(action.sender)
        if state is None:
            return
        state.sent += 1
        state.included += 1
        state.gas_cost += convert_gas_to_stablecoin(seen.gas, seen.gas_price, self.ether_price)
        if outcome.reason is not None:
            state.failed += 1
            self.reverted[outcome.reason] = self.reverted.get(outcome.reason, 0) + 1

    def _require_not_played_here(self, seen: MinedCall) -> None:
        """Raise BackstopError if another process sends from the account of a keeper of this process.

        An account has one sequence of nonces: two processes that count it block each other.
        """
        state = self.by_address.get(seen.action.sender)
        if state is not None and state in self.keepers:
            name, role = self.names[seen.action.sender], state.keeper.group.role
            live_role = next((each for each, played in LIVE_ROLES.items() if role in played), role)
            raise BackstopError(
                f"block {seen.block}: another keeper sends {seen.action.contract}.{seen.action.method} from "
                f"{name} ({seen.action.sender}), which this crash plays, one sender an account: run `keeper` "
                f"without {live_role}, or this with --play without {role}"
            )

    @property
    def ether_price(self) -> int:
        return self.paths[self.scenario.gas_token][self.block]

    def build_keeper_view(self) -> KeeperView:
        """Return the present state as keepers see it.

        Prices are those of the scenario, and the gas price is that of the chain.
        """
        clock = self.system.timestamp - self.scenario.start
        outside = MarketData(
            self.market_prices(), self.ether_price, self.gas_price, self.equity_price, clock=clock
        )
        snapshot = self.session.model.snapshot()
        number, parameters = self.system.next_block_number, self.scenario.parameters
        return KeeperView(snapshot, self.at, self.system.timestamp, outside, parameters, number=number)

    # ------------------------------------------------------------------- genesis

    def open_book(self, progress: Progress, stop: Callable[[], bool]) -> None:
        """Open the scenario's vaults, then track the accounts of keepers that other processes run.

        Each tracked account gets the capital that the scenario's keepers of its role have together.
        """
        self.advance_clock(self.opening)
        # On a chain that had prices before, new ones count after the second step.
        self.report_opening_prices(self.scenario.opened_at)
        self.advance_clock(self.opening + _longest_step(self.scenario.parameters))
        super().open_book(progress, stop)
        for name in ACCOUNTS:
            address = self.register_account(name)
            if name not in _SETTING and address not in self.by_address:
                role = "flash_taker" if name == "taker" else name.rstrip("_0123456789")
                group = KeeperGroup(name, role, 1, GasPolicy(), capital=self.capitals.get(role, 0))
                state = KeeperState(Keeper(name, address, group, 0))
                give_keeper_capital(self, state)
                self.by_address[address] = state

    def report_opening_prices(self, replacement_prices: Mapping[str, int] = MappingProxyType({})) -> None:
        """Report and activate the opening price of each market.

        `replacement_prices` replaces a market's first price, by symbol [ray]. The feed is updated even if
        another account updated it just before.
        """
        for market, feed, price in self.iter_opening_prices(replacement_prices):
            for i in range(feed.reporters):
                self.report_opening_price(market, price, self.register_account(f"reporter_{i + 1}"))
            self.apply(Action("PriceFeed", "poke", (market,), self.register_account("market_maker")))

    # --------------------------------------------------------------------- blocks

    def run_block(self) -> None:
        """Run one block of the scenario: set time and markets, run this process's keepers, then wait.

        Keepers in other processes act during the wait, up to `speed` seconds for each block.
        """
        began = time.monotonic()
        now = self.block * self.scenario.block_time
        self.advance_clock(self.scenario.start + now)
        self.record_mined()
        self.gas_price = self.live.node.offer_fees().expected
        self.rebalance_local_markets(now)
        for state in self.keepers:
            self.run_keeper(state, now)
        while (left := began + self.speed - time.monotonic()) > 0:
            time.sleep(min(left, 0.05))
            self.record_mined()
        self.recorder.record_block(self.build_keeper_view(), self.gas_price, 0)

    def refill_market(self, symbol: str, collateral: int, stable: int, virtual: int) -> None:
        """Set the liquidity of a collateral's market, paid by the market maker.

        Other processes trade meanwhile. Liquidity that the market maker cannot afford is left out until the
        next refill.
        """
        maker = self.register_account("market_maker")
        args = (collateral, stable, virtual)[: 3 if virtual else 2]
        action = Action(f"Market.{symbol}", "set_liquidity", args, maker)
        outcome = self.apply(action)
        if outcome.reason not in (None, _TOO_LITTLE):
            raise self.build_revert_error(action, outcome)

    def run_keeper(self, state: KeeperState, now: int) -> None:
        """Let a keeper of this process decide, and mine each of its calls at once.

        Do nothing during an outage of the keeper.
        """
        if any(outage.start <= now < outage.end for outage in state.keeper.group.outages):
            return
        for intent in state.keeper.decide_calls(self.build_keeper_view(), state.memory, self.gas_price):
            outcome = self.apply(intent.action)
            state.memory.record_outcome(intent.about, outcome.ok, self.system.timestamp)

    # -------------------------------------------------------------------- results

    def build_result(self) -> RunResult:
        """Return the result so far, including keepers of other processes that sent transactions."""
        outsiders = [state for state in self.by_address.values() if state.included]
        self.keepers += [state for state in outsiders if state not in self.keepers]
        return super().build_result()


def drive_scenario(
    scenario: Scenario,
    system: LiveSystem,
    seed: int,
    out: Path | None,
    *,
    speed: float,
    played: tuple[str, ...] = PLAYED,
    command: str = "",
    progress: Progress = lambda done, total, text: None,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Run a scenario on a live test chain and return its summary.

    `speed` is the real time for each block [seconds]. `played` lists the keeper roles that this process runs
    itself. With `out`, a run directory is written, also if the run fails. Raise BackstopError if a role is
    unknown, the node's time cannot be set, or the run fails.
    """
    unknown = [role for role in played if role not in ROLES]
    if unknown:
        known = describe_choices(unknown[0], ROLES, "docs/reference/scenarios.md")
        raise BackstopError(f"--play: role {unknown[0]!r} is unknown; {known}")
    system.host.driver.require_drivable_node("a crash sets the time and acts for everybody")
    began = time.monotonic()
    with system.impersonate_and_freeze_time():
        run = LiveSimulation(scenario, system, seed, speed, played)
        try:
            run.run_scenario(progress, stop)
        except BackstopError as error:
            run.error = error
        result = run.build_result()
        if out is not None:
            meta = build_run_metadata("devnet", command, out, time.monotonic() - began)
            if run.error is not None:
                meta["error"] = str(run.error)
            # A trace is repeated on a fresh chain: only if that gives the same, to the wei.
            trace = result.trace if system.mirror.repeatable else None
            write_run(out, result.summary, meta, result.tables, trace)
    if run.error is not None:
        raise run.error
    return result.summary


def truncate_scenario(scenario: Scenario, seconds: int | None) -> Scenario:
    """Return the scenario, shortened to `seconds` rounded down to whole blocks; None leaves it unchanged.

    Raise BackstopError if `seconds` is less than a block or more than the duration.
    """
    if seconds is None:
        return scenario
    if not scenario.block_time <= seconds <= scenario.duration:
        raise BackstopError(f"--until: {scenario.name} runs from 00:01 to {scenario.duration // 3_600}:00")
    return dataclasses.replace(scenario, duration=seconds // scenario.block_time * scenario.block_time)


def _check_fits(scenario: Scenario, system: LiveSystem) -> None:
    """Raise BackstopError if the deployment's collateral types are not those of the scenario.

    Each collateral type needs a market. Other parameters may differ.
    """
    has, wants = (
        [(each.symbol, each.decimals) for each in parameters.collateral_types]
        for parameters in (system.deployment.parameters, scenario.parameters)
    )
    if has != wants:
        described = ", ".join(symbol for symbol, _ in has)
        raise BackstopError(
            f"the deployment has {described}, the scenario {', '.join(symbol for symbol, _ in wants)}: "
            f"deploy its parameters, `{format_command_as_started('deploy')} --params {scenario.name}`"
        )
    if any(each.market is None for each in system.deployment.parameters.collateral_types):
        raise BackstopError("the deployment has a collateral type without a market")
    if system.deployment.parameters.equity is not None and scenario.equity_price is None:
        raise BackstopError(f"the deployment has equity, and {scenario.name} no `equity_price`")


def _longest_step(parameters: Parameters) -> int:
    feeds = [each.feed for each in parameters.collateral_types]
    if parameters.equity is not None:
        feeds.append(parameters.equity.feed)
    return max(feed.step for feed in feeds)


def _next_midnight(timestamp: int) -> int:
    return -(-timestamp // DAY) * DAY


__all__ = ["PLAYED", "LiveSimulation", "RunInterruptedError", "drive_scenario", "truncate_scenario"]
