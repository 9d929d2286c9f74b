"""Calls in lockstep, packed into blocks of 30M gas: a call that does not fit waits for the next block.

Anvil estimates the gas of a call for many accounts behind the other calls of its block, and blocks are packed
by that. For other hosts, blocks are packed by the gas of earlier calls of their kind. If a host measures no
gas, the committed table has the gas of each call. Blocks are 12 seconds apart; prices are reported in each.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from backstop.deployment.role_accounts import get_account
from backstop.errors import BackstopError
from backstop.hosts.host_interface import CALL_GAS
from backstop.hosts.model_system import ModelSystem
from backstop.keepers.call_costs import find_call_gas, get_job_gas
from backstop.model.arithmetic import div_up
from backstop.model.bounds import MAX_CLOSED, MIN_RANKED
from backstop.proof.lockstep import ProtocolLockstep
from backstop.simulation.progress_and_interruption import Progress, RunInterruptedError
from backstop.system import Action, Outcome

BLOCK_GAS = 30_000_000
BLOCK_SECONDS = 12
# Of a block's gas, so much is planned where it is not foreseen: a call may take more than those before it.
_PLANNED = BLOCK_GAS * 95 // 100
# The same for the calls of a ranking: what accounts cost goes by what they have behind them, and accounts
# come in the order of rank.
_PLANNED_RANKS = BLOCK_GAS * 80 // 100
# No transaction has more since EIP-7825. Gas is counted after refunds, which are up to a fifth of it
# (EIP-3529), and has to be there before them; as much is to spare.
_PLANNED_CALL = CALL_GAS * 3 // 5
_SAMPLE = 20
MANY = ("update_and_seize", "submit", "execute", "share")
"""Calls for many accounts."""
# Of fewer accounts nothing is said of their pace.
_PACED = 100
# Of the first calls of a kind, until some were measured; of those that the committed table has, so much more.
_FIRST, _FIRST_MORE = 900_000, 130
# Accounts in a call: fewer are not worth one, and fewer than MIN_RANKED of a ranking are refused.
_FEW = 8


@dataclass
class Phase:
    """Gas, calls and blocks of one phase of a crash.

    `gas` sums the counted calls; `least` and `most` are gas per account that a call names.
    """

    name: str
    began: int  # seconds, of the chain
    calls: int = 0
    accounts: int = 0
    gas: int = 0
    least: int = 0
    most: int = 0
    blocks: int = 0
    ended: int = 0
    # So many accounts were done when this process had taken so many seconds of a processor.
    marks: list[tuple[int, float]] = field(default_factory=list)

    def add_call(self, gas: int, accounts: int) -> None:
        """Add the gas of a call that names this number of accounts."""
        each = gas // accounts
        self.least = each if not self.calls else min(self.least, each)
        self.most = max(self.most, each)
        self.calls += 1
        self.accounts += accounts
        self.gas += gas

    def measure_account_microseconds_by_half(self) -> tuple[float, float]:
        """Return the processor time per account in the phase's first and second half [microseconds].

        Both are 0 if the phase has too few accounts to measure.
        """
        if len(self.marks) < 3 or self.accounts < _PACED:
            return 0.0, 0.0
        (first, began), (last, ended) = self.marks[0], self.marks[-1]
        middle, half = min(self.marks, key=lambda mark: abs(2 * mark[0] - first - last))
        if middle in (first, last):
            return 0.0, 0.0
        return (half - began) * 1e6 / (middle - first), (ended - half) * 1e6 / (last - middle)


class _PendingCall(NamedTuple):
    """Call that waits for its block to be mined."""

    action: Action
    phase: Phase
    kind: str
    accounts: int
    counted: bool


class BlockPacker:
    """Runner that packs calls to a deployment into blocks by their gas."""

    def __init__(
        self,
        system: ProtocolLockstep | ModelSystem,
        progress: Progress = lambda done, total, text: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.system = system
        self.model = system if isinstance(system, ModelSystem) else system.model
        self.progress, self.stop = progress, stop
        self.measures = False
        """Whether the host measures the gas of a call; known once a block was mined."""
        self.phases: dict[str, Phase] = {}
        self.phase = Phase("", system.timestamp)
        self.blocks = 0
        self.fullest = 0
        self.positions = 1
        """Positions of an account, at most: it takes so much more than the table says."""
        self.refresh: Callable[[], Iterable[Action]] = tuple
        """Reports at the beginning of each block, which keep marks current."""
        self._waiting: list[_PendingCall] = []
        # Gas of the block so far.
        self._planned = 0
        self._foresees = False
        # The call that was looked at last and fits, and how many were before it in the block.
        self._fit: tuple[Action, int] | None = None
        # Of each kind, what a call took at most for an account, beside what any such call takes.
        self._each: dict[str, int] = {}
        self._total = 0
        if isinstance(system, ProtocolLockstep):
            system.block = 10**9  # blocks end when they are full

    @property
    def timestamp(self) -> int:
        return self.system.timestamp

    def begin_phase(self, name: str, total: int = 0) -> Phase:
        """Begin a phase that counts the following calls, and return it; the current block continues.

        `total` is the number of accounts, for the progress report.
        """
        self.phase.ended = self.timestamp
        self._total = total
        self.phase = self.phases.setdefault(name, Phase(name, self.timestamp))
        self.phase.marks.append((self.phase.accounts, time.process_time()))
        return self.phase

    def apply_call_in_block(
        self,
        call: str,
        *args: Any,
        sender: str = "",
        account_count: int = 1,
        counts_gas: bool = True,
        may_revert: bool = False,
        gas_kind: str = "",
        least_gas_per_account: int = 0,
    ) -> Outcome:
        """Run the call "Contract.method" in the current block, or in the next one if the block is full.

        Return its outcome. Raises BackstopError if the call reverts, unless it `may_revert`. A call without
        `counts_gas` adds to the phase's blocks, but not to its gas. All calls of a phase with the same
        `gas_kind` are expected to need equal gas per account, at least `least_gas_per_account`.
        """
        kind = self._build_gas_kind_key(call, gas_kind)
        action = _build_action(call, args, sender)
        if self._waiting and not self._has_room(action, kind, account_count, least_gas_per_account):
            self.mine_block_of_waiting_calls()
        self._report_prices_if_block_empty()
        outcome = self._apply_action(action, kind, account_count, counts_gas, least_gas_per_account)
        if outcome.reason is not None and not may_revert:
            raise BackstopError(f"{call} reverted with {outcome.reason!r}")
        return outcome

    def iter_account_batches(
        self,
        call: str,
        *args: Any,
        accounts: Sequence[str],
        sender: str = "",
        gas_kind: str = "",
        least_gas_per_account: int = 0,
    ) -> Iterator[tuple[str, ...]]:
        """Yield batches of accounts, each as large as the current block has room for.

        Each batch is for a call "Contract.method"; `args` are its arguments before the accounts. A full block
        is mined first.
        """
        kind, done = self._build_gas_kind_key(call, gas_kind), 0
        few = MIN_RANKED if call.endswith(".submit") else _FEW
        while done < len(accounts):
            self._report_prices_if_block_empty()
            most = MAX_CLOSED
            while True:
                each = max(self._estimate_account_gas(kind), least_gas_per_account)
                free = min(self._get_block_fill_gas(kind) - self._planned, _PLANNED_CALL)
                room = min((free - _get_base_gas(kind)) // each, most)
                if room < min(few, len(accounts) - done):
                    self.mine_block_of_waiting_calls()
                    self._report_prices_if_block_empty()
                    most = MAX_CLOSED
                    continue
                some = tuple(accounts[done : done + room])
                if self._has_room(
                    _build_action(call, (*args, some), sender), kind, len(some), least_gas_per_account
                ):
                    break
                most = len(some) - 1
            done += len(some)
            yield some

    def mine_block_of_waiting_calls(self) -> None:
        """Mine the block with the waiting calls, and wait for the next block.

        Do nothing if none wait. Raises BackstopError if the block exceeds its gas limit.
        """
        if not self._waiting:
            return
        waiting, self._waiting, self._planned, self._fit = self._waiting, [], 0, None
        spent = self._list_gas_per_call(waiting)
        used = sum(spent)
        self.fullest = max(self.fullest, used)
        if used > BLOCK_GAS:
            raise BackstopError(
                f"a block of {used:,} gas while {self.phase.name}: calls took far more than those before them"
            )
        self.blocks += 1
        waiting[0].phase.blocks += 1
        taken: dict[str, list[int]] = {}
        for one, gas in zip(waiting, spent, strict=True):
            beside = max(0, gas - _get_base_gas(one.kind))
            taken.setdefault(one.kind, []).append(div_up(beside, one.accounts))
            if one.counted:
                one.phase.add_call(gas, one.accounts)
        for kind, each in taken.items():
            # Few of them are no sample.
            known = self._each.get(kind, 0) if len(each) < _SAMPLE else 0
            self._each[kind] = max([known, *each])
        self.phase.marks.append((self.phase.accounts, time.process_time()))
        self.progress(self.phase.accounts, self._total, self.phase.name)
        if self.stop():
            raise RunInterruptedError(f"interrupted while {self.phase.name}")
        self.let_empty_time_pass(BLOCK_SECONDS)

    def mine_block_and_forget_gas(self) -> None:
        """Mine the waiting calls, and discard the measured gas of each kind, as prices have moved."""
        self.mine_block_of_waiting_calls()
        self._each.clear()

    def let_empty_time_pass(self, seconds: int) -> None:
        """Mine the waiting calls, and advance time by a number of seconds with empty blocks."""
        self.mine_block_of_waiting_calls()
        self.system.advance(seconds)

    def _report_prices_if_block_empty(self) -> None:
        """Report prices at the start of a block, if the block has no call yet."""
        if not self._waiting:
            for action in self.refresh():
                said = f"{action.contract}.{action.method} while {self.phase.name}"
                self._apply_action(action, said, 1, counts_gas=False)

    def _has_room(self, action: Action, kind: str, accounts: int, at_least: int) -> bool:
        """Return whether a call fits into the block, by the host's dry run or by estimated gas."""
        if self._fit == (action, len(self._waiting)):
            return True
        foreseen = self._dry_run_block_gas_by_call(action) if _get_base_gas(kind) else []
        if foreseen:
            *before, gas = foreseen
            self._planned = sum(before)
            self._each[kind] = div_up(max(0, gas - _get_base_gas(kind)), accounts)
            fits = self._planned + gas <= BLOCK_GAS
        else:
            planned = max(self._estimate_gas(kind, accounts), at_least * accounts)
            fits = self._planned + planned <= self._get_block_fill_gas(kind)
        self._fit = (action, len(self._waiting)) if fits else None
        return fits

    def _dry_run_block_gas_by_call(self, added_action: Action) -> list[int]:
        """Return the gas of each waiting call and of `added_action` after them, by the host's dry run.

        The list is empty if the host cannot tell.
        """
        if not isinstance(self.system, ProtocolLockstep):
            return []
        gas = self.system.chain.dry_run_gas([*(one.action for one in self._waiting), added_action])
        self._foresees = bool(gas)
        return gas

    def _get_block_fill_gas(self, call_kind: str) -> int:
        """Return the gas up to which a block is filled with calls of this kind."""
        if self._foresees:
            return BLOCK_GAS
        return _PLANNED_RANKS if ".submit" in call_kind else _PLANNED

    def _apply_action(
        self, action: Action, kind: str, account_count: int, counts_gas: bool, least_gas_per_account: int = 0
    ) -> Outcome:
        outcome = self.system.apply(action)
        # What reverts takes gas too, which is no part of what an account costs.
        goes = counts_gas and outcome.reason is None
        self._waiting.append(_PendingCall(action, self.phase, kind, account_count, goes))
        self._planned += max(self._estimate_gas(kind, account_count), least_gas_per_account * account_count)
        return outcome

    def _estimate_gas(self, kind: str, accounts: int) -> int:
        """Return the expected gas of a call that names this number of accounts."""
        return _get_base_gas(kind) + self._estimate_account_gas(kind) * accounts

    def _estimate_account_gas(self, kind: str) -> int:
        known = self._each.get(kind)
        if known is None and _get_base_gas(kind):
            known = _get_account_gas(kind) * self.positions * _FIRST_MORE // 100
        return _FIRST if known is None else known

    def _build_gas_kind_key(self, call: str, gas_kind: str) -> str:
        return f"{call} while {self.phase.name} {gas_kind}"

    def _list_gas_per_call(self, pending_calls: list[_PendingCall]) -> list[int]:
        """Return the gas of each call, measured by the host or from the committed table."""
        if isinstance(self.system, ProtocolLockstep):
            self.system.apply_pending_chain_steps()
            spent = self.system.chain.spent
            if any(spent):
                self.measures = True
                return spent
        return [_read_table_gas(one.kind, one.accounts) for one in pending_calls]


_UNLISTED = 100_000
"""Of a call that the committed table has no job for."""


def _read_table_gas(kind: str, accounts: int) -> int:
    """Return the gas of a call by the committed table."""
    base = _get_base_gas(kind)
    return (
        base + accounts * _get_account_gas(kind) if base else find_call_gas(*_split_kind(kind)) or _UNLISTED
    )


def _get_base_gas(kind: str) -> int:
    """Return the gas of a call for many accounts without its accounts, by the committed table.

    0 for any other call.
    """
    return get_job_gas(f"cycles: {_get_gas_job_name(kind)}") if _split_kind(kind)[1] in MANY else 0


def _get_gas_job_name(kind: str) -> str:
    """Return the name of a call's job in the committed gas table."""
    return _split_kind(kind)[1].replace("_", " ")


def _get_account_gas(kind: str) -> int:
    return get_job_gas(f"cycles: {_get_gas_job_name(kind)}, each account")


def _build_action(call: str, args: tuple[Any, ...], by: str) -> Action:
    """Return the action for "Contract.method"; the account `stranger` sends it if `by` is empty."""
    contract, method = call.split(".")
    return Action(contract, method, args, by or get_account("stranger"))


def _split_kind(kind: str) -> list[str]:
    """Return contract and method of a gas kind."""
    return kind.split(" ")[0].split(".")
