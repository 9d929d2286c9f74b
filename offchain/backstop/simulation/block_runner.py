"""Runs a scenario block by block: markets, people, transactions that get in, decisions of keepers."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import cast

from backstop.deployment.devnet_trader_signatures import get_trader_account
from backstop.keepers.call_costs import convert_gas_to_stablecoin, require_call_gas
from backstop.keepers.cycle_view import CycleView
from backstop.keepers.keeper_role_register import has_occasion
from backstop.keepers.keeper_view import KeeperView
from backstop.model.arithmetic import BASIS_POINTS
from backstop.simulation.adl_evaders import run_adl_evasion_round
from backstop.simulation.liquidity_vault_members import request_due_vault_withdrawals
from backstop.simulation.progress_and_interruption import Progress, RunInterruptedError
from backstop.simulation.scenario.scenario_records import MarginAccount
from backstop.simulation.scenario_run_state import KeeperState, ScenarioRun
from backstop.simulation.scheduled_margin_trades import (
    announce_delistings,
    list_planned_withdrawals,
    run_due_margin_trades,
)
from backstop.simulation.stability_pool_members import request_due_pool_withdrawals
from backstop.simulation.vault_owner_actions import run_owner_reactions
from backstop.system import Action


class BlockRunner(ScenarioRun):
    """Run of a scenario that can be executed block by block."""

    def run_block(self) -> None:
        """Run one block: move markets and users, include pending transactions, then let keepers decide."""
        scenario, now = self.scenario, self.now
        self.advance_clock(scenario.start + now)
        if scenario.scarcity:
            self.update_stablecoin_price()
        self.rebalance_local_markets(now)
        announce_delistings(self)
        run_due_margin_trades(self)
        self.withdraw_free_margin_of_due_accounts(now)
        request_due_vault_withdrawals(self)
        request_due_pool_withdrawals(self)
        run_adl_evasion_round(self)
        run_owner_reactions(self)

        self.include_transactions()
        view = self.build_keeper_view()
        for group, states in self._groups:
            down = any(outage.start <= now < outage.end for outage in group.outages)
            if down or not has_occasion(group.role, view):
                for state in states:
                    state.dropped += self.mempool.drop_pending(state.keeper.address)
                continue
            gas_price = group.gas.compute_gas_price(scenario.gas_prices, now)
            for state in states:
                self.queue_keeper_transactions(state, view, gas_price)
        self.recorder.record_block(view, scenario.gas_prices.get_value(now), len(self.mempool))

    def include_transactions(self) -> None:
        """Apply the pending transactions that fit into this block, and charge their gas to the senders."""
        scenario, now = self.scenario, self.now
        gas_price = scenario.gas_prices.get_value(now)
        capacity = scenario.block_gas * scenario.gas_share.get_value(now) // BASIS_POINTS
        ether = self.paths[scenario.gas_token][self.block]
        for pending in self.mempool.fill_block(self.system.timestamp, gas_price, capacity):
            outcome = self.apply(pending.action)
            state = self.by_address[pending.sender]
            state.included += 1
            state.gas_cost += convert_gas_to_stablecoin(pending.gas, pending.gas_price, ether)
            state.memory.record_outcome(pending.intent, outcome.ok, self.system.timestamp)
            if outcome.reason is not None:
                state.failed += 1
                self.reverted[outcome.reason] = self.reverted.get(outcome.reason, 0) + 1

    def queue_keeper_transactions(self, keeper_state: KeeperState, view: KeeperView, gas_price: int) -> None:
        """Replace a keeper's pending transactions by the calls that it decides on at this block."""
        keeper, wanted = keeper_state.keeper, []
        for intent in keeper.decide_calls(view, keeper_state.memory, gas_price):
            action = intent.action
            gas = require_call_gas(action.contract, action.method) if intent.gas is None else intent.gas
            wanted.append((action, intent.about, gas, gas_price))
        if not wanted:
            keeper_state.dropped += self.mempool.drop_pending(keeper.address)
            return
        sent, dropped = self.mempool.replace_pending(
            keeper.address, keeper.name, wanted, view.timestamp, keeper.group.latency
        )
        keeper_state.sent += sent
        keeper_state.dropped += dropped

    @cached_property
    def withdrawing_accounts(self) -> list[MarginAccount]:
        """Margin accounts that have not made their planned withdrawal yet."""
        return list_planned_withdrawals(self)

    def withdraw_free_margin_of_due_accounts(self, now: int) -> None:
        """Withdraw the free margin of each margin account at its planned time.

        An account withdraws once; a refused withdrawal is tried again at the next block.
        """
        for each in list(self.withdrawing_accounts):
            assert each.takes_out is not None
            owner = get_trader_account(each.name)
            if each.takes_out > now:
                continue
            self.submit_marks(owner)
            amount, equity = (
                self.compute_free_margin(owner),
                cast(CycleView, self.build_keeper_view().cycles).get_account_equity(owner),
            )
            action = Action("PerpetualMarket", "withdraw", (amount, owner), owner)
            # Who has nothing has left.
            if equity == 0 or (amount and self.apply(action).ok):
                self.withdrawing_accounts.remove(each)

    def run_until_sold(self, stop: Callable[[], bool]) -> None:
        """Run further blocks at the last prices until no debt is under auction or unsafe.

        The scenario bounds the number of blocks. Raises RunInterruptedError if `stop` returns True.
        """
        for _ in range(self.scenario.extra_block_count):
            if not self.sum_auctioned_and_unsafe_debt():
                return
            if stop():
                raise RunInterruptedError("stopped after the last block, with something left to sell")
            self.now += self.scenario.block_time
            self.run_block()

    def run_blocks(self, progress: Progress, stop: Callable[[], bool]) -> None:
        """Run all blocks of the scenario's duration, and report progress.

        Raises RunInterruptedError if `stop` returns True.
        """
        for block in range(self.scenario.blocks + 1):
            if stop():
                raise RunInterruptedError(f"stopped at block {block} of {self.scenario.blocks}")
            progress(block, self.scenario.blocks, "running")
            self.block, self.now = block, block * self.scenario.block_time
            self.run_block()
