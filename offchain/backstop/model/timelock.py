"""The admin of the other contracts: a governor's proposal waits, then any account executes it in time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

from backstop.contract_base import (
    ZERO_ADDRESS,
    Contract,
    World,
    declare_record_slot_bit_widths,
    external,
    immutable,
    require,
    view,
)
from backstop.evm_crypto import keccak256
from backstop.model import bounds
from backstop.model.arithmetic import MAX_UINT256
from backstop.model.interfaces import IVaultEngine
from backstop.model.roles import Administered

MAX_CALLS, MAX_DATA, MAX_OPEN, MAX_RULES = 16, 4_096, 16, 32
ALL_TYPES = MAX_UINT256
NO_ID = bytes(32)
SET_GUARDIAN = keccak256(b"set_guardian(address)")[:4]

Call = tuple[str, bytes]
"""A target, and call data: the selector and the arguments."""


@declare_record_slot_bit_widths(40, 1)
class Record(NamedTuple):
    """Time from which a proposal can be executed, and whether only the governor may cancel it."""

    ready_at: int = 0
    governors: bool = False


class Proposal(NamedTuple):
    """Period in which a proposal can be executed [seconds], and whether only the governor may cancel it."""

    ready_at: int
    expires_at: int
    governors: bool


def hash_proposal(calls: Sequence[Call], salt: bytes) -> bytes:
    """Return the id of a proposal: a keccak-256 hash of salt, number of calls, targets and call data."""
    found = keccak256(salt + len(calls).to_bytes(32, "big"))
    for target, data in calls:
        found = keccak256(found + int(target, 16).to_bytes(32, "big") + keccak256(data))
    return found


class Timelock(Contract):
    """Admin of the other contracts; it executes proposals after a delay (model of Timelock.vy)."""

    KIND = "Timelock"

    vault_engine_address = immutable("VAULT_ENGINE", str)
    longest = immutable("LONGEST", int)
    window = immutable("WINDOW", int)

    def __init__(
        self,
        world: World,
        name: str,
        address: str,
        vault_engine: str,
        governor: str,
        guardian: str,
        longest: int,
        window: int,
        rules: Sequence[tuple[str, bytes, int]],
    ) -> None:
        super().__init__(world, name, address)
        require(longest >= bounds.MIN_LONGEST_DELAY, "timelock: short delay")
        require(longest <= bounds.MAX_LONGEST_DELAY, "timelock: long delay")
        require(window >= bounds.MIN_EXECUTION_WINDOW, "timelock: short window")
        require(window <= bounds.MAX_EXECUTION_WINDOW, "timelock: long window")
        require(len(rules) <= MAX_RULES, "")
        self.vault_engine_address = vault_engine
        self.longest = longest
        self.window = window
        self.governors = self.table("governor", ZERO_ADDRESS)
        self.guardians = self.table("guardian", ZERO_ADDRESS)
        self.delays = self.table("delays")
        self.proposals = self.table("proposals", Record())
        self.places = self.table("places", NO_ID)
        self._set_governor(governor)
        self._set_guardian(guardian)
        for target, selector, delay in rules:
            self._set_delay(target, selector, delay)

    @property
    def engine(self) -> IVaultEngine:
        return cast(IVaultEngine, self.world.at(self.vault_engine_address))

    # --------------------------------------------------------------- proposals

    @external
    def propose(self, sender: str, calls: Sequence[Call], salt: bytes) -> bytes:
        """Propose calls to be executed after the longest of their delays, and return the proposal's id.

        Only the governor may call.
        """
        require(len(calls) <= MAX_CALLS and all(len(data) <= MAX_DATA for _, data in calls), "")
        require(sender == self.governors[()], "timelock: not governor")
        require(len(calls) != 0, "timelock: no calls")
        id = hash_proposal(calls, salt)
        require(not self._is_open(id), "timelock: is open")
        delay = 0
        for target, data in calls:
            require(len(data) >= 4, "timelock: no selector")
            delay = max(delay, self._get_delay(target, data[:4]))
        self._take_place(id)
        ready_at = self.world.timestamp + delay
        (target, data), *others = calls
        governors = not others and target == self.address and data[:4] == SET_GUARDIAN
        self.proposals[id] = Record(ready_at, governors)
        self.emit("Proposed", id, tuple(calls), salt, ready_at, ready_at + self.window)
        return id

    @external
    def execute(self, sender: str, calls: Sequence[Call], salt: bytes) -> None:
        """Execute all calls of a proposal atomically; any account may call.

        Raises RevertError if the proposal is not ready yet, has expired, or a call fails.
        """
        require(len(calls) <= MAX_CALLS and all(len(data) <= MAX_DATA for _, data in calls), "")
        id = hash_proposal(calls, salt)
        ready_at = self._load_proposal(id).ready_at
        require(self.world.timestamp >= ready_at, "timelock: too early")
        require(self.world.timestamp <= ready_at + self.window, "timelock: expired")
        self.proposals[id] = Record()
        self.emit("Executed", id, sender)
        for target, data in calls:
            require(target in self.world.addresses, "timelock: no code")
            self.world.call(self.address, target, data)

    @external
    def cancel(self, sender: str, id: bytes) -> None:
        """Cancel a proposal; the governor or the guardian may call.

        The guardian cannot cancel a proposal that replaces the guardian.
        """
        self._only_governor_or_guardian(sender)
        record = self._load_proposal(id)
        require(sender == self.governors[()] or not record.governors, "timelock: of the guardian")
        self.proposals[id] = Record()
        self.emit("Cancelled", id, sender)

    # ----------------------------------------------------------------- at once

    @external
    def lower_ceiling(self, sender: str, collateral_type: int, ceiling: int) -> None:
        """Lower a type's debt ceiling without delay [whole stablecoins]; governor or guardian may call."""
        self._only_governor_or_guardian(sender)
        present = self.engine.terms_of(self.address, collateral_type).debt_ceiling
        require(ceiling < present, "timelock: only lower")
        self.emit("RiskForbidden", sender, collateral_type, ceiling)
        self.engine.set_debt_ceiling(self.address, collateral_type, ceiling)

    @external
    def halt_draws(self, sender: str) -> None:
        """Set the debt ceiling of all types to zero without delay; governor or guardian may call."""
        self._only_governor_or_guardian(sender)
        self.emit("RiskForbidden", sender, ALL_TYPES, 0)
        self.engine.set_global_debt_ceiling(self.address, 0)

    @external
    def accept_admin(self, sender: str, target: str) -> None:
        """Accept the admin role that the contract `target` offers to the timelock."""
        contract = self.world.at(target)
        require(isinstance(contract, Administered), "")
        cast(Administered, contract).accept_admin(self.address)

    # ------------------------------------------------------------------ itself

    @external
    def set_delay(self, sender: str, target: str, selector: bytes, delay: int) -> None:
        """Set the delay for calls of a function [seconds]; 0 means the longest delay.

        Only a proposal of the timelock itself may call.
        """
        self._only_itself(sender)
        self._set_delay(target, selector, delay)

    @external
    def set_governor(self, sender: str, governor: str) -> None:
        """Set the governor, the account that proposes; only a proposal of the timelock may call."""
        self._only_itself(sender)
        self._set_governor(governor)

    @external
    def set_guardian(self, sender: str, guardian: str) -> None:
        """Set the guardian, the account that cancels proposals and forbids new risk.

        Only a proposal of the timelock may call.
        """
        self._only_itself(sender)
        self._set_guardian(guardian)

    # ------------------------------------------------------------------- views

    @view
    def id_of(self, sender: str, calls: Sequence[Call], salt: bytes) -> bytes:
        """Return the id of a proposal with these calls and this salt."""
        return hash_proposal(calls, salt)

    @view
    def delay_of(self, sender: str, target: str, selector: bytes) -> int:
        """Return the delay for calls of a function of a contract [seconds]."""
        return self._get_delay(target, selector)

    @view
    def proposal_of(self, sender: str, id: bytes) -> Proposal:
        """Return the period in which a proposal can be executed [seconds]; zeros if there is none."""
        ready_at, governors = self.proposals[id]
        return Proposal(ready_at, ready_at + self.window if ready_at else 0, governors)

    @view
    def open_proposals(self, sender: str) -> tuple[bytes, ...]:
        """Return the ids of proposals that can be executed now or later."""
        return tuple(self.places[i] for i in range(MAX_OPEN) if self._is_open(self.places[i]))

    @view
    def governor(self, sender: str) -> str:
        """Return the address of the governor, the account that proposes."""
        return str(self.governors[()])

    @view
    def guardian(self, sender: str) -> str:
        """Return the address of the guardian, the account that cancels proposals and forbids new risk."""
        return str(self.guardians[()])

    # ----------------------------------------------------------------- helpers

    def _only_governor_or_guardian(self, sender: str) -> None:
        require(sender in (self.governors[()], self.guardians[()]), "timelock: not guardian")

    def _only_itself(self, sender: str) -> None:
        require(sender == self.address, "timelock: by proposal only")

    def _set_delay(self, target: str, selector: bytes, delay: int) -> None:
        require(target != self.address, "timelock: own delays")
        require(delay == 0 or bounds.MIN_DELAY <= delay <= self.longest, "timelock: delay bounds")
        self.delays[target, int.from_bytes(selector, "big")] = delay
        self.emit("DelaySet", target, selector, delay)

    def _set_governor(self, governor: str) -> None:
        self.governors[()] = governor
        self.emit("GovernorSet", governor)

    def _set_guardian(self, guardian: str) -> None:
        self.guardians[()] = guardian
        self.emit("GuardianSet", guardian)

    def _get_delay(self, target: str, selector: bytes) -> int:
        return int(self.delays[target, int.from_bytes(selector, "big")] or self.longest)

    def _load_proposal(self, id: bytes) -> Record:
        record: Record = self.proposals[id]
        require(record.ready_at != 0, "timelock: not proposed")
        return record

    def _is_open(self, id: bytes) -> bool:
        ready_at = self.proposals[id].ready_at
        return bool(ready_at != 0 and self.world.timestamp <= ready_at + self.window)

    def _take_place(self, id: bytes) -> None:
        """Assign a proposal its earlier place in the list of open proposals, or a free one."""
        free = MAX_OPEN
        for place in range(MAX_OPEN):
            there = self.places[place]
            if there == id:
                return
            if free == MAX_OPEN and not self._is_open(there):
                free = place
        require(free != MAX_OPEN, "timelock: too many")
        self.proposals[self.places[free]] = Record()
        self.places[free] = id
