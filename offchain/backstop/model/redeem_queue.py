"""The batches in which members leave a pool, and the requests in them; see modules/redeem_queue.vy."""

from __future__ import annotations

from typing import NamedTuple

from backstop.contract_base import (
    World,
    declare_record_slot_bit_widths,
    external,
    immutable,
    require,
    view,
)
from backstop.model import bounds
from backstop.model.arithmetic import MAX_UINT256
from backstop.model.denominations import convert_shares
from backstop.model.shares import Shares

# Batches that are cut and wait for their time.
MOST_UNSETTLED = 12
# Seconds for which a batch takes requests at least, if the cooldown is not shorter; or this part of it.
DAY = 86_400
PARTS = 8
# Requests of a controller that one call goes through.
MOST_AT_ONCE = 32


@declare_record_slot_bit_widths(32, 32, 96, 96)
class Queue(NamedTuple):
    """Batch numbers at the ends of a pool's withdrawal queue, and the assets of its batches [wad]."""

    collecting: int = 0  # the batch that takes requests, the last one
    unsettled: int = 0  # the first batch that waits for its time
    held: int = 0  # by batches that were cut
    owed: int = 0  # paid out to batches and not claimed yet


@declare_record_slot_bit_widths(152, 32, 32, 40)
class Batch(NamedTuple):
    """Shares of all withdrawal requests that leave a pool together."""

    units: int = 0  # shares
    since: int = 0  # seconds: the first request, then the cut
    generation: int = 0  # of the shares: of the last request, then of the cut
    link: int = 0  # the subclass's


@declare_record_slot_bit_widths(152, 40, 32, 31, 1)
class Request(NamedTuple):
    """Shares that a controller has committed to a withdrawal batch."""

    shares: int = 0
    mark: int = 0  # the checkpoint up to which claims are settled
    generation: int = 0  # of the mark; of the shares that of the batch's cut, if that was before
    next: int = 0  # the controller's next batch
    has_claimed: bool = False  # whether a part of it was claimed


@declare_record_slot_bit_widths(96, 160)
class Claimed(NamedTuple):
    """Amounts that a controller has already claimed from an unfinished request."""

    assets: int = 0  # wad
    shares: int = 0


@declare_record_slot_bit_widths(32, 224)
class Line(NamedTuple):
    """First and last batch in which a controller has unfinished requests; zeros if there is none."""

    first: int = 0
    last: int = 0


def get_collecting_time(cooldown: int) -> int:
    """Return how long a withdrawal batch takes requests before it may be closed [seconds]."""
    return max(min(cooldown, DAY), cooldown // PARTS)


class RedeemQueue(Shares):
    """Queue of withdrawal requests in batches (model of contracts/modules/redeem_queue.vy).

    Subclasses pay the batches, since they hold the assets.
    """

    # Seconds from the cut of a batch to its first payment, but for bounds.LOOK. 0: leaving needs no request.
    cooldown = immutable("COOLDOWN", int)

    def __init__(self, world: World, name: str, address: str, token_name: str, token_symbol: str) -> None:
        super().__init__(world, name, address, token_name, token_symbol)
        self.line = self.table("line.queue", Queue())
        self.batches = self.table("line.batches", Batch())
        self.requests = self.table("line.requests", Request())
        self.claimed = self.table("line.claimed", Claimed())
        self.lines = self.table("line.lines", Line())
        self.operators = self.table("line.isOperator", False)

    def _open_queue(self, cooldown: int, cap_delay: int) -> None:
        """Set the cooldown and open batch 1 for requests; batch number 0 is never used.

        Raises RevertError if the cooldown is out of bounds, or too long for the waterfall's delay of new
        caps.
        """
        require(cooldown <= bounds.MAX_COOLDOWN, "pool: cooldown bounds")
        require(cooldown == 0 or cooldown >= bounds.MIN_COOLDOWN, "pool: short cooldown")
        until = cooldown + get_collecting_time(cooldown) + bounds.LOOK
        require(cooldown == 0 or until < cap_delay, "pool: cooldown too long")
        self.cooldown = cooldown
        self.line[()] = Queue(1, 1)

    @external
    def setOperator(self, sender: str, operator: str, approved: bool) -> bool:
        """Allow or forbid an operator to request withdrawals of the caller's shares and to claim them."""
        self.operators[sender, operator] = approved
        self.emit("OperatorSet", sender, operator, approved)
        return True

    @view
    def isOperator(self, sender: str, controller: str, operator: str) -> bool:
        """Return True if the operator may act for a controller."""
        return bool(self.operators[controller, operator])

    # ----------------------------------------------------------------- batches

    def get_earliest_cut_time(self) -> int:
        """Return the earliest time at which the batch that takes requests may be closed [seconds]."""
        return int(self.batches[self.line[()].collecting].since) + get_collecting_time(self.cooldown)

    def get_maturity(self, id: int) -> int:
        """Return the earliest time at which a closed batch may be paid [seconds]."""
        return int(self.batches[id].since) + self.cooldown + bounds.LOOK

    def list_unsettled_batches(self) -> range:
        """Return the numbers of the closed batches that wait for payment."""
        queue: Queue = self.line[()]
        return range(queue.unsettled, queue.collecting)

    def get_earliest_batch_settlement_time(self) -> int:
        """Return the earliest time at which the next batch may be paid [seconds].

        Return the maximum integer if no batch waits.
        """
        waits = self.list_unsettled_batches()
        return self.get_maturity(waits.start) if waits else MAX_UINT256

    def get_units(self, id: int) -> int:
        """Return the shares of an unpaid batch in present units, rounded down.

        Present units are those after all divisions of shares.
        """
        batch: Batch = self.batches[id]
        return convert_shares(batch.units, batch.generation, self.state[()].generation)

    def _end_batch_collection(self, queue: Queue) -> Batch:
        """Close the batch that takes requests, and return its record with shares in present units.

        Raises RevertError if the batch is empty or too young, or if too many batches wait.
        """
        units = self.get_units(queue.collecting)
        require(units != 0, "pool: no requests")
        require(self.world.timestamp >= self.get_earliest_cut_time(), "pool: batch collects")
        require(queue.collecting - queue.unsettled < MOST_UNSETTLED, "pool: too many batches")
        batch = Batch(units, self.world.timestamp, self.state[()].generation, 0)
        self.batches[queue.collecting] = batch
        return batch

    # ---------------------------------------------------------------- requests

    def list_request_batches(self, controller: str) -> list[int]:
        """Return the batches with a controller's unfinished requests, oldest first, at most MOST_AT_ONCE."""
        found, id = list[int](), self.lines[controller].first
        while id and len(found) < MOST_AT_ONCE:
            found.append(id)
            id = self.requests[id, controller].next
        return found

    def _add_request_and_get_previous(
        self, sender: str, shares: int, controller: str, owner: str
    ) -> tuple[int, Request]:
        """Add shares to the open batch; return the batch number and the controller's request before."""
        allowed = controller in (owner, sender) or self.operators[controller, sender]
        require(allowed, "pool: not for this controller")
        id, state = int(self.line[()].collecting), self.state[()]
        units, since = self.get_units(id), self.batches[id].since
        self.batches[id] = Batch(
            units + shares, since if units else self.world.timestamp, state.generation, 0
        )
        before: Request = self.requests[id, controller]
        line: Line = self.lines[controller]
        if line.last != id:
            if line.last:
                last = self.requests[line.last, controller]
                self.requests[line.last, controller] = last._replace(next=id)
            self.lines[controller] = Line(line.first or id, id)
        held = convert_shares(before.shares, before.generation, state.generation)
        self.requests[id, controller] = Request(held + shares, state.mark, state.generation)
        self.emit("RedeemRequest", controller, owner, id, sender, shares)
        return id, before

    def get_share_generation_at_cut(self, batch_id: int) -> int:
        """Return how often all shares had been divided when a withdrawal batch was closed.

        For the batch that takes requests, return the present count.
        """
        collects = batch_id == self.line[()].collecting
        return int(self.state[()].generation if collects else self.batches[batch_id].generation)

    def shares_at_cut(self, id: int, controller: str) -> int:
        """Return a request's shares in the units at the time its batch was closed, rounded down.

        Each division of all shares changes the units.
        """
        request: Request = self.requests[id, controller]
        return convert_shares(
            request.shares, request.generation, max(request.generation, self.get_share_generation_at_cut(id))
        )

    def _count_claimed(self, id: int, controller: str, assets: int, shares: int) -> None:
        if shares:
            before: Claimed = self.claimed[id, controller]
            self.claimed[id, controller] = Claimed(before.assets + assets, before.shares + shares)
            request: Request = self.requests[id, controller]
            self.requests[id, controller] = request._replace(has_claimed=True)

    def _drop_first(self, id: int, controller: str) -> None:
        """Delete a controller's first request."""
        following = self.requests[id, controller].next
        self.requests[id, controller] = Request()
        self.claimed[id, controller] = Claimed()
        line = self.lines[controller]
        self.lines[controller] = line._replace(first=following) if following else Line()
