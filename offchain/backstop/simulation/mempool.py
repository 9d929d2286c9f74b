"""Which transactions get into a block: one deterministic rule, whatever the host.

Waiting transactions are ordered by gas price, then age, then name. One is included if its gas price
reaches the block's clearing price and its gas still fits into the protocol's share of the block; the
transactions of one sender go in the order in which they were sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from backstop.deployment import POOLS
from backstop.keepers.gas_table import read_snapshot
from backstop.model.arithmetic import RAY
from backstop.system import Action

# Which job of the committed gas table stands for a call.
_JOBS = {
    ("PriceFeed", "report"): "report",
    ("PriceFeed", "poke"): "price update",
    ("PriceFeed", "set_halted"): "halt",
    ("VaultEngine", "accrue"): "accrue",
    ("VaultEngine", "deposit_and_draw"): "open",
    ("VaultEngine", "repay_and_withdraw"): "repay part",
    ("LiquidationEngine", "liquidate"): "liquidate",
    ("LiquidationEngine", "call"): "margin call",
    ("Workouts", "enter"): "enter workout",
    ("Workouts", "pay"): "pay instalment",
    ("Workouts", "foreclose"): "foreclose",
    ("Workouts", "unwind"): "unwind",
    ("CollateralAuction", "take"): "take all",
    ("CollateralAuction", "reset"): "reset",
    ("CollateralAuction", "close"): "close",
    ("LossWaterfall", "cover"): "cover",
    ("LossWaterfall", "mark_vault"): "mark vault",
    ("LossWaterfall", "mark_auction"): "mark auction",
    ("FlashTaker", "take_and_sell"): "flash take",
    ("StakeAuction", "take"): "staked equity: take",
    ("StakeAuction", "end"): "staked equity: end",
    ("MintAuction", "take"): "recapitalise: take",
    ("MintAuction", "end"): "recapitalise: end",
    ("SurplusAuction", "start"): "sell surplus: start",
    ("SurplusAuction", "take"): "sell surplus: take",
    ("Treasury", "distribute"): "distribute",
    ("AutoCeiling", "adjust"): "adjust ceiling",
    ("CircuitBreaker", "escalate"): "escalate",
    ("CircuitBreaker", "calm"): "calm",
    ("CircuitBreaker", "raise_to"): "raise mode",
    ("Settlement", "note"): "note deficit",
    ("Settlement", "begin"): "begin settlement",
    ("CollateralAuction", "unwind"): "unwind",
    ("Settlement", "fix_price"): "fix price",
    ("Settlement", "skim"): "skim",
    ("Settlement", "fix"): "fix",
    ("Settlement", "redeem"): "redeem",
    ("Settlement", "cash"): "cash",
    ("MarginMarket", "deposit"): "margin: deposit",
    ("MarginMarket", "liquidate"): "margin: liquidate",
    ("MarginMarket", "sweep"): "margin: sweep",
    ("MarginMarket", "post_shortfall"): "margin: post shortfall",
    ("MarginOrders", "fill"): "margin: fill, new position",
    ("MarginDeleverager", "begin"): "margin: begin",
}
for _pool, _, _ in POOLS.values():
    _JOBS[_pool, "request_redeem"] = "request"
    _JOBS[_pool, "cancel_request"] = "cancel request"
    _JOBS[_pool, "redeem"] = "redeem shares"
    _JOBS[_pool, "deposit"] = "deposit new"
    _JOBS[_pool, "add_income"] = "deposit again"  # it moves as much


# Of domains, whatever their names.
_JOBS_OF_DOMAINS = {
    "draw": "domain: draw",
    "repay": "domain: repay",
    "announce_loss": "domain: announce loss",
    "realise_loss": "domain: realise loss",
}


@cache
def _measured() -> Mapping[str, int]:
    return read_snapshot()


def measured(job: str) -> int:
    """Gas of a job of the committed table."""
    return _measured()[job]


def gas_of(contract: str, method: str) -> int | None:
    """Gas of a call from the committed table, None where no job stands for it."""
    job = _job(contract, method)
    return None if job is None else _measured()[job]


def gas_needed(contract: str, method: str) -> int:
    """The same for a call that keepers send: each has a job."""
    job = _job(contract, method)
    assert job is not None, f"{contract}.{method} has no job"
    return _measured()[job]


def _job(contract: str, method: str) -> str | None:
    return _JOBS.get((contract, method)) or _JOBS_OF_DOMAINS.get(method)


def cost_in_stablecoin(gas: int, gas_price: int, ether_price: int) -> int:
    """Wad of stablecoin, rounded up: gas x wei a gas x ray a coin."""
    return -(-gas * gas_price * ether_price // RAY)


class Pending(NamedTuple):
    """A transaction that waits. `intent` is what it is about: a new one with the same intent replaces it."""

    sender: str
    name: str
    action: Action
    intent: tuple[object, ...]
    gas: int
    gas_price: int
    submitted_at: int
    visible_at: int
    nonce: int

    @property
    def rank(self) -> tuple[int, int, str, int]:
        """Order of inclusion, the first is best."""
        return -self.gas_price, self.submitted_at, self.name, self.nonce


class Mempool:
    """The waiting transactions of all senders, each sender's in the order of their nonces."""

    def __init__(self) -> None:
        self._queues: dict[str, list[Pending]] = {}
        self._nonce = 0

    def __len__(self) -> int:
        return sum(len(queue) for queue in self._queues.values())

    def waiting(self, sender: str) -> list[Pending]:
        """A sender's transactions, oldest nonce first."""
        return list(self._queues.get(sender, ()))

    def replace(
        self,
        sender: str,
        name: str,
        wanted: Iterable[tuple[Action, tuple[object, ...], int, int]],
        now: int,
        latency: int,
    ) -> tuple[int, int]:
        """Make `wanted` (action, intent, gas, gas price) the sender's only waiting transactions.

        One whose intent already waits keeps its age and takes the new terms; what is no longer wanted is
        dropped. Returns how many were sent for the first time and how many were dropped.
        """
        old = {pending.intent: pending for pending in self._queues.get(sender, ())}
        kept: list[Pending] = []
        fresh: list[Pending] = []
        for action, intent, gas, gas_price in wanted:
            before = old.pop(intent, None)
            if before is not None:
                kept.append(before._replace(action=action, gas=gas, gas_price=gas_price))
                continue
            self._nonce += 1
            fresh.append(
                Pending(sender, name, action, intent, gas, gas_price, now, now + latency, self._nonce)
            )
        kept.sort(key=lambda pending: pending.nonce)
        queue = kept + fresh
        if queue:
            self._queues[sender] = queue
        else:
            self._queues.pop(sender, None)
        return len(fresh), len(old)

    def drop(self, sender: str) -> int:
        """Forget a sender's transactions; how many there were."""
        return len(self._queues.pop(sender, ()))

    def fill_block(self, now: int, clearing_price: int, capacity: int) -> list[Pending]:
        """Take out what gets into the block, in order."""
        heads = [
            (queue[0].rank, sender) for sender, queue in self._queues.items() if queue[0].visible_at <= now
        ]
        heapify(heads)
        included: list[Pending] = []
        while heads:
            _, sender = heappop(heads)
            queue = self._queues[sender]
            pending = queue[0]
            if pending.gas_price < clearing_price or pending.gas > capacity:
                continue
            capacity -= pending.gas
            included.append(pending)
            queue.pop(0)
            if not queue:
                del self._queues[sender]
            elif queue[0].visible_at <= now:
                heappush(heads, (queue[0].rank, sender))
        return included
