"""All vaults of a deployment as of one block, and the way back a few blocks."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from backstop.errors import BackstopError
from backstop.keepers.view_records import MarginCall, Vault
from backstop.live.index.collateral_type_vaults import EMPTY, TypeVaults, VaultRecord
from backstop.live.index.liquidation_pricing_inputs import PricingConditions
from backstop.model.risk_policy import Terms

DEPTH = 64
"""Blocks that can be taken back: two epochs of a chain that finalises."""


class DetachedBlockError(BackstopError):
    """Error raised if a block does not follow the index's newest block."""


class VaultChanged(NamedTuple):
    """Event `VaultEngine.VaultChanged`: the collateral and normalized debt of a vault after a change."""

    collateral_type: int
    owner: bytes
    locked: int
    normalized_debt: int


class MarginCalled(NamedTuple):
    """Event `LiquidationEngine.MarginCalled`: a vault, and the end of its grace period (`due`)."""

    collateral_type: int
    owner: bytes
    due: int


class BlockChanges(NamedTuple):
    """Changes of vaults in a block, or in a range of blocks that ends with it, in order."""

    number: int
    hash: str
    parent: str  # the hash of the block before the first
    changes: Sequence[VaultChanged | MarginCalled]


class UndoEntry(NamedTuple):
    """Undo record of a block: the block before it, and the vaults that it changed, as they were."""

    number: int
    hash: str
    rows: dict[tuple[int, int], VaultRecord]


class VaultIndex:
    """Index of all vaults of a deployment after block `number`, from which unsafe vaults are found.

    Events show that a margin call was made, but not that it was met: any later change of the vault may meet
    it. So `list_vaults_with_unconfirmed_calls` returns the vaults that were called or changed since. The time
    of each call must be read from the chain (`VaultEngine.vault`) and set by `set_confirmed_call_time` before
    `find_unsafe`, `find_callable` and `list_calls`. `IndexFollower` does that.
    """

    def __init__(self, number: int, block_hash: str, depth: int = DEPTH) -> None:
        """Create an empty index at the last block before the deployment.

        `depth` is the number of blocks that can be rolled back.
        """
        self.number = number
        self.hash = block_hash
        self.types: dict[int, TypeVaults] = {}
        self.journal: deque[UndoEntry] = deque(maxlen=depth)
        self._doubtful: dict[tuple[int, int], None] = {}

    def __len__(self) -> int:
        """Return the number of vaults, including vaults that are empty by now."""
        return sum(map(len, self.types.values()))

    # ------------------------------------------------------------------ following

    def apply(self, block: BlockChanges, *, final: bool = False) -> None:
        """Apply the changes of the next block, or range of blocks, to the index.

        Neither a `final` block nor any block before it can be rolled back. Raise DetachedBlockError if the
        block does not follow the index's newest block.
        """
        if block.parent != self.hash or block.number <= self.number:
            raise DetachedBlockError(f"block {block.number} does not follow block {self.number} of the index")
        undo = UndoEntry(self.number, self.hash, {})
        for change in block.changes:
            c = change.collateral_type
            vaults = self.get_vaults(c)
            row = vaults.get_or_add_row(change.owner)
            old = vaults.get_record(row)
            if isinstance(change, VaultChanged):
                new = VaultRecord(change.locked, change.normalized_debt, old.called_at)
            else:
                new = old._replace(called_at=change.due)
            if new.called_at:
                self._doubtful[c, row] = None
            if not final:
                undo.rows.setdefault((c, row), old)
            vaults.put_record(row, new)
        self.number, self.hash = block.number, block.hash
        if final:
            self.journal.clear()
        else:
            self.journal.append(undo)

    def roll_back_last_block(self) -> bool:
        """Undo the last applied block; return False if there is no undo record for it."""
        if not self.journal:
            return False
        undo = self.journal.pop()
        for (c, row), old in undo.rows.items():
            self.types[c].put_record(row, old)
            # What was noted then may have been in doubt itself.
            if old.called_at:
                self._doubtful[c, row] = None
            else:
                self._doubtful.pop((c, row), None)
        self.number, self.hash = undo.number, undo.hash
        return True

    def list_vaults_with_unconfirmed_calls(self) -> list[tuple[int, str]]:
        """Return the vaults with margin calls that must be confirmed on the chain: type and owner."""
        return [(c, self._get_owner(c, row)) for c, row in self._doubtful]

    def mark_all_calls_unconfirmed(self) -> None:
        """Require that all margin calls are confirmed on the chain again."""
        for c, vaults in self.types.items():
            self._doubtful.update(dict.fromkeys((c, row) for row in vaults.called))

    def set_confirmed_call_time(self, collateral_type: int, owner: str, called_at: int) -> None:
        """Set the time of a vault's margin call, as the chain has it at the index's block; 0: no call."""
        vaults = self.get_vaults(collateral_type)
        row = vaults.get_or_add_row(bytes.fromhex(owner[2:]))
        vaults.put_record(row, vaults.get_record(row)._replace(called_at=called_at))
        self._doubtful.pop((collateral_type, row), None)

    # -------------------------------------------------------------------- answers

    def find_unsafe(self, collateral_type: int, at: PricingConditions) -> list[Vault]:
        """Return the vaults that may be liquidated under the given conditions, the largest debt first.

        Vaults under the liquidation ratio come first. Then follow vaults with an expired grace period of a
        margin call that are still under the call ratio.
        """
        if at.liquidation_ratio == 0:
            return []
        vaults = self.get_vaults(collateral_type)
        under = dict.fromkeys(vaults.find_vaults_below_ratio(at, at.liquidation_ratio))
        due = [
            row
            for row in vaults.called - under.keys()
            if self._is_call_due(vaults, row, at) and vaults.is_below_ratio(row, at, at.calls.ratio)
        ]
        return [*_largest_first(vaults, under, at), *_largest_first(vaults, due, at)]

    def find_callable(self, collateral_type: int, at: PricingConditions) -> list[Vault]:
        """Return the vaults that may get a margin call, the largest debt first.

        They are under the call ratio and have no running call. Vaults that may be liquidated at once are
        included.
        """
        vaults = self.get_vaults(collateral_type)
        under = [
            row
            for row in vaults.find_vaults_below_ratio(at, at.calls.ratio)
            if not self._is_call_unexpired(vaults, row, at)
        ]
        return _largest_first(vaults, under, at)

    def list_calls(self, collateral_type: int, at: PricingConditions) -> list[MarginCall]:
        """Return the margin calls of a type that have not expired, met by now or not, the oldest first."""
        vaults = self.get_vaults(collateral_type)
        found = []
        for row in vaults.called:
            if self._is_call_unexpired(vaults, row, at) and vaults.get_record(row).normalized_debt:
                called_at = vaults.get_record(row).called_at
                due = called_at + at.calls.grace
                found.append(
                    MarginCall(self._get_owner(collateral_type, row), called_at, due, due + at.calls.valid)
                )
        return sorted(found, key=lambda call: (call.called_at, call.owner))

    def list_vaults_below_ratio(
        self, collateral_type: int, ratio: int, price: int, rate: int, policy: Terms
    ) -> list[Vault]:
        """Return the vaults with less collateral than a ratio [basis points] and the policy require.

        `price` and `rate` are in ray. `policy` holds the brackets of debt above which more collateral is
        required.
        """
        at, vaults = PricingConditions(price, rate, 0, 0, policy), self.get_vaults(collateral_type)
        return [vaults.get_vault(row, rate) for row in vaults.find_vaults_below_ratio(at, ratio)]

    def list_vaults_ever_called(self, collateral_type: int, accumulated_rate: int) -> list[Vault]:
        """Return the vaults with a recorded margin call, also if the call has expired."""
        vaults = self.get_vaults(collateral_type)
        return [vaults.get_vault(row, accumulated_rate) for row in vaults.called]

    def get_vault(self, collateral_type: int, owner: str) -> VaultRecord:
        """Return the vault of an owner; an empty vault if the owner never had one."""
        vaults = self.get_vaults(collateral_type)
        row = vaults.owners.find_row(bytes.fromhex(owner[2:]))
        return EMPTY if row is None else vaults.get_record(row)

    def get_normalized_debt(self, collateral_type: int) -> int:
        """Return the normalized debt of all vaults of a type together [wad]."""
        return self.get_vaults(collateral_type).normalized_debt

    def sample_vaults(self, count: int, seed: int) -> list[tuple[int, str]]:
        """Return a uniform random sample of distinct vaults, as type and owner."""
        chosen = sorted(random.Random(seed).sample(range(len(self)), min(count, len(self))))
        found, first = [], 0
        for c, vaults in self.types.items():
            after = first + len(vaults)
            found += [(c, self._get_owner(c, i - first)) for i in chosen if first <= i < after]
            first = after
        return found

    # -------------------------------------------------------------------- helpers

    def get_vaults(self, collateral_type: int) -> TypeVaults:
        """Return the container of all vaults of a collateral type; create an empty one if there is none."""
        found = self.types.get(collateral_type)
        if found is None:
            found = self.types[collateral_type] = TypeVaults()
        return found

    def _get_owner(self, collateral_type: int, row: int) -> str:
        return "0x" + self.types[collateral_type].owners.get_address(row).hex()

    def _is_call_unexpired(self, vaults: TypeVaults, row: int, conditions: PricingConditions) -> bool:
        called_at = vaults.get_record(row).called_at
        return (
            called_at != 0
            and conditions.timestamp <= called_at + conditions.calls.grace + conditions.calls.valid
        )

    def _is_call_due(self, vaults: TypeVaults, row: int, at: PricingConditions) -> bool:
        return (
            self._is_call_unexpired(vaults, row, at)
            and at.timestamp >= vaults.get_record(row).called_at + at.calls.grace
        )


def _largest_first(vaults: TypeVaults, rows: Iterable[int], at: PricingConditions) -> list[Vault]:
    found = [vaults.get_vault(row, at.rate) for row in rows]
    return sorted(found, key=lambda vault: (-vault.debt, vault.owner))
