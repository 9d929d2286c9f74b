"""Deleveraging against unassigned lots, in the order of gain over worth.

One ranking serves all insolvent accounts of a cycle: by the gain on a side of a market in the pending cycle,
over the account's worth at its end. A run that has all gains of the side has left no account out. The market
decides separately which accounts absorb the losses.
"""

from __future__ import annotations

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
from backstop.model.erc20 import encode_words
from backstop.model.interfaces import Gains, IPerpetualMarket, IPerpetualTrading

SCALE = 10**9
"""A score is a gain over its account's worth, in such parts of one."""
MOST_SCORE = 2**96 - 1
_LAST = "0x" + "ff" * 20


@declare_record_slot_bit_widths(32, 32, 128)
class RankingProgress(NamedTuple):
    """Ranking in progress: its cycle, number of submitted calls, and total gain of its accounts [wei]."""

    cycle: int = 0
    batches: int = 0
    gains: int = 0


@declare_record_slot_bit_widths(96, 160)
class LastRanked(NamedTuple):
    """Last account of a ranking in progress, and its score."""

    score: int = 0
    last: str = ZERO_ADDRESS


class RunOf(NamedTuple):
    """Ranking in progress together with its last account and score."""

    cycle: int
    batches: int
    gains: int
    score: int
    last: str


@declare_record_slot_bit_widths(32, 32, 160, 32)
class ProvenRanking(NamedTuple):
    """Complete ranking of a side: its cycle, executed calls, submitter, and total number of calls."""

    cycle: int = 0
    executed: int = 0
    prover: str = ZERO_ADDRESS
    batches: int = 0


class RankedDeleveraging(Contract):
    """Auto-deleveraging in the order of gain over worth (model of contracts/RankedDeleveraging.vy).

    A caller submits the ranking in several calls; then the accounts' lots are closed in this order.
    """

    KIND = "RankedDeleveraging"

    market_address = immutable("MARKET", str)
    trading_address = immutable("TRADING", str)

    def __init__(self, world: World, name: str, address: str, market: str, trading: str) -> None:
        super().__init__(world, name, address)
        self.market_address = market
        self.trading_address = trading
        # By market, side and sender.
        self.runs = self.table("runs", RankingProgress())
        self.lasts = self.table("lasts", LastRanked())
        # By those and the number of the call.
        self.digests = self.table("digests", bytes(32))
        # By market and side.
        self.cases = self.table("cases", ProvenRanking())

    @property
    def market(self) -> IPerpetualMarket:
        return cast(IPerpetualMarket, self.world.at(self.market_address))

    @property
    def trading(self) -> IPerpetualTrading:
        return cast(IPerpetualTrading, self.world.at(self.trading_address))

    @external
    def submit(self, sender: str, market: int, side: int, accounts: tuple[str, ...]) -> None:
        """Append accounts to the caller's ranking of a market side; a complete ranking is stored as proven.

        The accounts must have gained in the last period (pending cycle), in descending order of gain over
        worth. The ranking is complete once it contains the whole gain of the side. Raises RevertError if a
        ranking is already proven.
        """
        cycle = self.market.clock_of(self.address).cycle - 1
        require(self.cases[market, side].cycle != cycle, "deleveraging: proven")
        key = market, side, sender
        run, last = self.runs[key], self.lasts[key]
        if run.cycle != cycle:
            run, last = RankingProgress(cycle), LastRanked(MOST_SCORE, _LAST)
        require(len(accounts) != 0, "deleveraging: nobody")
        for owner in accounts:
            gains = self.market.gains_of(self.address, owner, market)
            gain, score = get_side_gain(gains, side), compute_gain_to_worth_score(gains, side)
            require(gain != 0, "deleveraging: has not gained")
            before = (last.score, int(last.last, 16))
            require((score, int(owner, 16)) < before, "deleveraging: out of rank")
            run, last = run._replace(gains=run.gains + gain), LastRanked(score, owner)
        self.digests[*key, cycle << 32 | run.batches] = hash_account_addresses(accounts)
        run = run._replace(batches=run.batches + 1)
        is_proven = run.gains == self.market.cycle_of(self.address, market, cycle)[0][side]
        require(is_proven or len(accounts) >= bounds.MIN_RANKED, "deleveraging: too few")
        self.runs[key], self.lasts[key] = run, last
        self.emit("Submitted", market, side, sender, len(accounts), run.gains)
        if is_proven:
            self.cases[market, side] = ProvenRanking(cycle, 0, sender, run.batches)
            self.emit("Proven", market, side, sender, run.cycle)

    @external
    def execute(self, sender: str, market: int, side: int, accounts: tuple[str, ...]) -> int:
        """Close the lots of the proven ranking's next group of accounts; return the lots still unassigned.

        `accounts` must equal the accounts of the submitted call with this number.
        """
        case: ProvenRanking = self.cases[market, side]
        cycle = self.market.clock_of(self.address).cycle - 1
        require(0 < case.cycle >= cycle - 1, "deleveraging: not proven")
        kept = self.digests[market, side, case.prover, case.cycle << 32 | case.executed]
        is_next = case.executed < case.batches and hash_account_addresses(accounts) == kept
        require(is_next, "deleveraging: not the next")
        most = (MAX_UINT256,) * len(accounts)
        closed, left = self.trading.deleverage(
            self.address, market, side, accounts, most, case.prover, sender
        )
        require(left != 0 or any(closed), "deleveraging: no lots to close")
        self.emit("Executed", market, side, case.executed, left)
        if left != 0:
            # With none left more may come: then its turn is still this call's.
            self.cases[market, side] = case._replace(executed=case.executed + 1)
        return left

    @view
    def run_of(self, sender: str, market: int, side: int, prover: str) -> RunOf:
        """Return the progress of an account's latest ranking of a market side."""
        key = market, side, prover
        return RunOf(*self.runs[key], *self.lasts[key])

    @view
    def case_of(self, sender: str, market: int, side: int) -> ProvenRanking:
        """Return the last proven ranking of a market side, with the number of its executed calls."""
        return cast(ProvenRanking, self.cases[market, side])


def get_side_gain(gains: Gains, side: int) -> int:
    """Return the gain on one side [wei]; `side` is 0 for long and 1 for short."""
    require(side < 2, "deleveraging: no such side")
    return gains.short if side else gains.long


def compute_gain_to_worth_score(gains: Gains, side: int) -> int:
    """Return an account's score for the ranking: gain over worth, in parts of 10**9, capped.

    An account insolvent at the end of the cycle counts a worth of 1 wei, so it ranks first.
    """
    return min(get_side_gain(gains, side) * SCALE // max(gains.worth, 1), MOST_SCORE)


def hash_account_addresses(account_addresses: tuple[str, ...]) -> bytes:
    """Return the keccak-256 hash of the ABI-encoded accounts of one call."""
    return keccak256(encode_words(32, len(account_addresses), *account_addresses))
