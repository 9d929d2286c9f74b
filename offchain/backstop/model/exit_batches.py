"""Losses and payments of withdrawal batches, by the loss index; see contracts/modules/exit_batches.vy.

The index counts what one share has borne, in 1 / SCALE wei. A group - a run of settled batches with one
ceiling, or a batch that is not settled - holds, at any time,

    held = floor(units * (ceiling - index) / SCALE)

and bears share for share what live shares bear, up to its ceiling; ceilings rise in the order of the queue.
"""

from __future__ import annotations

from typing import NamedTuple

from backstop.contract_base import World, declare_record_slot_bit_widths, require
from backstop.model.arithmetic import div_up, mul_uint256
from backstop.model.denominations import STEP, convert_shares
from backstop.model.redeem_queue import MOST_UNSETTLED, Queue, RedeemQueue

# What one share has borne is counted in this part of a wei.
SCALE = 10**47
MOST_RUNS = 20
MOST_GROUPS = MOST_RUNS + MOST_UNSETTLED
# Of the price of a share: what is held back at least while anything is in doubt.
PARTS = 256
# Generations back that a ceiling is told from.
MOST_BACK = 9


class ExitGroup(NamedTuple):
    """Withdrawn shares that bear losses together: merged settled batches, or one unsettled batch.

    The loss index counts the loss that one share has borne [1 / SCALE wei]. `ceiling` is the index at which
    the group's assets are used up.
    """

    id: int  # its first batch
    units: int  # shares, as they are counted now
    ceiling: int  # on the index, in 1 / SCALE wei


@declare_record_slot_bit_widths(152, 32, 72)
class ExitRun(NamedTuple):
    """Settled withdrawal batches that were merged because they have the same loss ceiling."""

    units: int = 0  # shares
    generation: int = 0  # as of which they are counted
    ended: int = 0  # 1 + the checkpoint at which it was over; 0 while it is not


class ExitBatches(RedeemQueue):
    """Withdrawal batches of a pool, which bear losses through a loss index until they are paid.

    The index counts the loss that one share has borne. The subclass owns the assets and raises the index.
    Model of contracts/modules/exit_batches.vy.
    """

    def __init__(self, world: World, name: str, address: str, token_name: str, token_symbol: str) -> None:
        super().__init__(world, name, address, token_name, token_symbol)
        self.index = self.table("exit_batches.index")
        self.bases = self.table("exit_batches.bases")
        self.ceilings = self.table("exit_batches.ceilings")
        self.levels = self.table("exit_batches.levels")
        self.runs = self.table("exit_batches.runs", ExitRun())
        self.fractions = self.table("exit_batches.fractions")
        self.first_run = self.table("exit_batches.first_run")

    # ------------------------------------------------------------------ groups

    def list_open_groups_by_ceiling(self) -> list[ExitGroup]:
        """Return the groups of withdrawn shares that can still bear losses, in order of their ceilings.

        A ceiling is the loss per share at which a group's assets are used up.
        """
        queue: Queue = self.line[()]
        found = list[ExitGroup]()
        if self.state[()].open != queue.collecting - queue.unsettled:
            id = self.first_run[()]
            while id:
                found.append(ExitGroup(id, self.runs[id].units, self.get_loss_index_ceiling(id)))
                id = self.batches[id].link
        for id in self.list_unsettled_batches():
            found.append(ExitGroup(id, self.get_units(id), self.get_loss_index_ceiling(id)))
        return found

    def get_loss_index_ceiling(self, group_id: int) -> int:
        """Return the loss per share at which a group's assets are used up [1 / SCALE wei]."""
        return int(self.levels[group_id] or self.ceilings[group_id])

    def get_earliest_batch_settlement_time(self) -> int:
        """Return the first time at which withdrawn shares can be paid [seconds]; 0 if it can be any time."""
        queue: Queue = self.line[()]
        has_runs = self.state[()].open != queue.collecting - queue.unsettled
        return 0 if has_runs else super().get_earliest_batch_settlement_time()

    def _compute_level(self, groups: list[ExitGroup], shares: int, assets: int) -> int:
        """Return the loss index after a loss [wad] that live shares and open groups share pro rata.

        The index counts the loss that one share has borne [1 / SCALE wei].
        """
        everything = shares + sum(group.units for group in groups)
        level, left = int(self.index[()]), assets * SCALE
        for group in groups:
            room = (group.ceiling - level) * everything
            if left < room:
                break
            left -= room
            level = group.ceiling
            everything -= group.units
        return level + div_up(left, everything)

    def _end_group(self, group: ExitGroup, mark: int) -> None:
        """Record that a group bears no more losses, because it is paid or its ceiling is reached."""
        self.levels[group.id] = group.ceiling
        self.runs[group.id] = ExitRun(group.units, self.state[()].generation, mark + 1)

    # -------------------------------------------------------------- settlement

    def _count_groups_to_merge(
        self, groups: list[ExitGroup], index_level: int, share_price: int
    ) -> tuple[int, int]:
        """Return how many merged groups stay unchanged, and how many groups after them become one.

        The groups are of withdrawn shares; the second number counts those that can be paid now.
        """
        index, unsettled, small = self.index[()], self.line[()].unsettled, share_price // PARTS
        kept = found = 0
        for group in groups:
            if group.id < unsettled:
                if group.ceiling < index_level:
                    kept += 1
                    continue
            elif (
                group.ceiling < index_level
                or self.world.timestamp < self.get_maturity(group.id)
                or (
                    not found
                    and index_level > index
                    and (kept == MOST_RUNS or group.ceiling - index_level < small)
                )
            ):
                break
            found += 1
        return kept, found

    def _pay_and_merge_groups(self, index_level: int, share_price: int) -> int:
        """Pay the withdrawn shares that known losses leave assets, and return the payment [wad].

        The paid groups are merged into one run. While debt may be lost, a margin of their assets is held
        back. Reverts if no group can be paid.
        """
        queue, groups, index = self.line[()], self.list_open_groups_by_ceiling(), self.index[()]
        kept, found = self._count_groups_to_merge(groups, index_level, share_price)
        require(found != 0, "pool: nothing to settle")
        first = groups[kept]
        ceiling = index_level
        if index_level > index:
            margin = max(div_up(index_level - index, 2), share_price // PARTS)
            if first.id >= queue.unsettled:
                margin = min(margin, (first.ceiling - index_level) // 2)
                if kept:
                    self._set_batch_link(groups[kept - 1].id, first.id)
            ceiling = min(first.ceiling, index_level + margin)
        self._set_batch_link(first.id, 0)
        joined, owing, held, unsettled = groups[kept : kept + found], 0, queue.held, queue.unsettled
        for group in joined:
            if group != first:
                self._set_batch_link(group.id, first.id)
            held -= mul_uint256(group.units, group.ceiling - index) // SCALE
            owing += self.fractions[group.id] + mul_uint256(group.units, group.ceiling - ceiling)
            unsettled = max(unsettled, group.id + 1)
        run = ExitGroup(first.id, sum(group.units for group in joined), ceiling)
        paid, still, open = (
            owing // SCALE,
            mul_uint256(run.units, ceiling - index) // SCALE,
            len(groups) - found,
        )
        if ceiling == index:
            self._end_group(run, self.state[()].mark)
        else:
            open += 1
            if kept == 0:
                self.first_run[()] = run.id
            self.levels[run.id] = ceiling
            self.fractions[run.id] = owing % SCALE
            self.runs[run.id] = ExitRun(run.units, self.state[()].generation, 0)
        self.line[()] = Queue(queue.collecting, unsettled, held + still, queue.owed + paid)
        self.emit("BatchPaid", run.id, unsettled, paid, still)
        if open != self.state[()].open:
            self._set_open_group_count(open)
        return int(paid)

    def _set_batch_link(self, id: int, to: int) -> None:
        """Set a batch's link: to the next run of batches, or to the run that the batch has joined."""
        if self.batches[id].link != to:
            self.batches[id] = self.batches[id]._replace(link=to)

    # ---------------------------------------------------------------- payments

    def find_first_batch_of_run(self, batch_id: int) -> int:
        """Return the first batch of the run that contains a settled batch.

        A run is a group of merged batches with one loss ceiling.
        """
        link = self.batches[batch_id].link
        while link != 0 and link < batch_id:
            batch_id, link = link, self.batches[link].link
        return batch_id

    def _compute_paid(self, id: int, run: int, shares: int) -> int:
        """Return the payment so far for shares of a settled batch [wad, rounded down].

        The shares are counted as when the batch was closed, before later divisions of shares.
        """
        record: ExitRun = self.runs[run]
        if record == ExitRun():
            return 0
        cut, first = self.batches[id].generation, self.ceilings[id]
        ceiling = self._convert_ceiling_to_older_generation(self.levels[run], record.generation, cut)
        paid = mul_uint256(shares, first - min(first, ceiling)) // SCALE
        return int(paid - min(paid, int(record.generation != cut)))

    def _convert_ceiling_to_older_generation(self, ceiling: int, generation: int, cut: int) -> int:
        """Return a group's loss ceiling in units of the shares before later share divisions, rounded up.

        A loss ceiling is the loss per share at which the assets are used up.
        """
        if generation - cut > MOST_BACK:
            ceiling, generation = 1, cut + MOST_BACK
        for at in range(generation - 1, cut - 1, -1):
            ceiling = div_up(ceiling, STEP) + self.bases[at]
        return ceiling

    # --------------------------------------------------------------- divisions

    def _rescale_exit_groups(self, steps: int) -> int:
        """Convert open groups to shares divided `steps` times, and return their assets [wad].

        The loss index starts again at 0.
        """
        generation, index, held = self.state[()].generation, self.index[()], 0
        groups = self.list_open_groups_by_ceiling()
        self.bases[generation] = index
        self.index[()] = 0
        for group in groups:
            shares = convert_shares(group.units, 0, steps)
            ceiling = max(1, (group.ceiling - index) * STEP**steps)
            self.levels[group.id] = ceiling
            if group.id < self.line[()].unsettled:
                self.runs[group.id] = ExitRun(shares, generation + steps, 0)
            held += shares * ceiling // SCALE
        return held
