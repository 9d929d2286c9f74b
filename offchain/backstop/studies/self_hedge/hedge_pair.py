"""One owner's pair in the margin market: long against short, until one of the two fails.

The pair opens at the oldest possible mark, with no more margin than new risk needs, and withdraws all spare
margin at each roll. Reporters and liquidators check every few seconds. If a check finds one account
insolvent, the other closes against its position at once. If a check finds one account under its maintenance
margin, the pair closes by itself, before a liquidator earns a reward. The account is taken over if it cannot
pay for that. Then the pair waits until all is final and its profits have vested.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from backstop.deployment.role_accounts import get_account
from backstop.model.arithmetic import BASIS_POINTS, WAD, div_up
from backstop.studies.self_hedge.pair_market import LEFT, MARKET, OTHERS, RIGHT, HedgePairMarket

INSOLVENT, CLOSED, HELD = "insolvent", "closed", "held"
"""How it ends: an account owes; it closes under its maintenance margin; or at the end of the time it has."""
_POINT = 10**8
"""Wei a lot for 1e-8 dollars: a lot is a hundredth of a coin."""


class PairOutcome(NamedTuple):
    """Result of a pair of opposite positions of one owner: gain, unpaid loss, and kind of end."""

    start: int  # second of the path at which it opened
    share: int  # basis points of what was open
    notional: int  # wad, of one of the two
    gain: int  # wad, of the pair, above or below zero
    owed: int  # wad that the failed account was short of
    ended: str


class PairOpening(NamedTuple):
    """Time and size of a pair of opposite positions."""

    start: int  # second of the path
    share: int  # basis points of what is then open
    notional: int  # whole stablecoins, of one of the two
    hold: int  # seconds at most


def simulate_hedge_pair(
    market: HedgePairMarket, prices_by_second: Sequence[int], opening: PairOpening
) -> PairOutcome:
    """Simulate one pair on the model of the margin market, and return its outcome.

    `prices_by_second` are in 1e-8 dollars. The market's state is reverted at the end.
    """
    with market.model.fork_state():
        return _HedgedPair(market, prices_by_second, opening).open_hold_and_withdraw()


class _HedgedPair:
    def __init__(self, market: HedgePairMarket, path: Sequence[int], opening: PairOpening) -> None:
        self._market, self._path, self._opening = market, path, opening
        self._born = market.world.timestamp - opening.start
        self._paid_in, self._owed, self._buckets = 0, 0, set[int]()
        self._lots = 0

    def open_hold_and_withdraw(self) -> PairOutcome:
        """Open the pair, hold it until it fails or ends, and withdraw all money; return the outcome."""
        market, opening = self._market, self._opening
        notional = self._open_positions()
        ended = self._hold_until_failure_or_end()
        self._seize_and_roll_until_final()
        coin: Any = market.world.contracts["Stablecoin"]
        for owner in (LEFT, RIGHT):
            spare = self._compute_spare(owner, 0)
            if spare > 0:
                self._withdraw_from_account(owner, spare)
        for owner in (LEFT, RIGHT):
            market.claim_all(
                owner, {bucket for bucket in self._buckets if self._has_locked_profit(owner, bucket)}
            )
        left = sum(int(coin.balances[owner]) for owner in (LEFT, RIGHT))
        return PairOutcome(opening.start, opening.share, notional, left - self._paid_in, self._owed, ended)

    # -------------------------------------------------------------- in and out

    def _open_positions(self) -> int:
        """Open the other accounts' positions and the pair at the oldest allowed mark price.

        Return the pair's notional [wad].
        """
        market, opening, terms = self._market, self._opening, self._market.terms
        market.report_and_mark_price(self._path[opening.start - terms.mark_age])
        price = market.read_mark()
        self._lots = lots = opening.notional * WAD // price
        others = lots * (BASIS_POINTS - opening.share) // opening.share
        for owner in OTHERS:
            market.apply_call_on_model("PerpetualMarket.deposit", owner, 5 * others * price)
        market.apply_unsigned_trade_at_mark(*OTHERS, others)
        margin = market.compute_initial_margin(lots, others + lots) + 3 * terms.third_bond * WAD
        for owner, fee in ((LEFT, terms.maker_fee), (RIGHT, terms.taker_fee)):
            amount = margin + div_up(lots * price * fee, BASIS_POINTS)
            market.apply_call_on_model("PerpetualMarket.deposit", owner, amount)
            self._paid_in += amount
        market.apply_unsigned_trade_at_mark(LEFT, RIGHT, lots)
        return lots * price

    def _withdraw_spare(self) -> None:
        """Withdraw all cash beyond the margin and the withdrawal rules from both accounts."""
        opened = int(self._market.market._get_open_lots(MARKET))
        for owner in (LEFT, RIGHT):
            spare = self._compute_spare(
                owner, self._market.compute_initial_margin(self._market.read_size(owner), opened)
            )
            if spare > 0:
                self._withdraw_from_account(owner, spare)

    def _compute_spare(self, owner: str, needed: int) -> int:
        """Return an account's cash beyond `needed` margin, haircuts and gains that are not final [wad].

        A haircut is the part of a gain that pays others' losses.
        """
        found = self._market.update_and_read_standing(owner)
        return found.own - found.haircut - found.unfinal - needed

    def _withdraw_from_account(self, owner: str, amount: int) -> None:
        self._market.apply_call_on_model("PerpetualMarket.withdraw", amount, owner, sender=owner)
        self._buckets.add(self._market.get_current_profit_lock_bucket())

    def _has_locked_profit(self, owner: str, bucket: int) -> bool:
        fund: Any = self._market.world.contracts["MarginFund"]
        return bool(fund.profit_of("", owner, bucket))

    # ----------------------------------------------------------------- holding

    def _advance_to_second(self, second: int) -> None:
        """Advance the clock to a second of the price path, and update the mark to its price."""
        self._market.model.advance(max(0, self._born + second - self._market.world.timestamp))
        self._market.report_and_mark_price(self._path[second])

    def _hold_until_failure_or_end(self) -> str:
        """Hold the pair until an account fails or the time is over, and return how the pair ended.

        The result is INSOLVENT, CLOSED or HELD.
        """
        market, terms, opening = self._market, self._market.terms, self._opening
        end = min(opening.start + opening.hold, len(self._path) - 1)
        now = opening.start
        while now < end:
            until = min(end, now + terms.window)
            failed = self._find_maintenance_breach_second(now, until)
            if failed is None:
                now = until
                if now < end:
                    self._advance_to_second(now)
                    market.wait_and_roll_cycle(self._path[now])
                    self._withdraw_spare()
                continue
            now = failed
            self._advance_to_second(now)
            if self._seize_insolvent():
                return INSOLVENT
            self._close_pair()
            return CLOSED
        self._advance_to_second(end)
        if self._seize_insolvent():
            return INSOLVENT
        self._close_pair()
        return HELD

    def _find_maintenance_breach_second(self, now: int, until: int) -> int | None:
        """Return the first check at which an account is below its maintenance margin.

        None if there is none between `now` and `until` [seconds of the path]. The mark is updated at each
        extreme of the checked prices; prices between checks are ignored.
        """
        market, path = self._market, self._path
        mark = market.read_mark()
        sides = []
        for owner in (LEFT, RIGHT):
            found = market.update_and_read_standing(owner)
            size = market.read_size(owner)
            sides.append((size, found.own - found.haircut - size * mark))
        turn = market.compute_maintenance_margin(1, mark) // (4 * BASIS_POINTS)
        state = market.market.paths[MARKET]
        extreme, falling, seen = state.extreme, state.falling, now
        for second in range(now + market.terms.reaction, until + 1, market.terms.reaction):
            price = path[second] * _POINT
            onward = price < extreme if falling else price > extreme
            if onward or abs(price - extreme) >= turn:
                if not onward and seen > now:
                    self._advance_to_second(seen)
                extreme, seen = price, second
                falling = falling if onward else not falling
                least = market.compute_maintenance_margin(self._lots, price)
                if any((rest + size * price) * BASIS_POINTS < least for size, rest in sides):
                    if not onward:
                        self._advance_to_second(second)
                    return second
        if seen > now:
            self._advance_to_second(seen)
        return None

    # ----------------------------------------------------------------- the end

    def _seize_insolvent(self) -> bool:
        """Seize an insolvent account of the pair, and close the other account against its position.

        Return whether an account was insolvent.
        """
        market = self._market
        for owner, other in ((LEFT, RIGHT), (RIGHT, LEFT)):
            found = market.update_and_read_standing(owner)
            if found.own < found.haircut:
                self._owed = found.haircut - found.own
                market.apply_call_on_model(
                    "PerpetualMarket.seize_insolvent", owner, sender=get_account("keeper")
                )
                market.apply_call_on_model("PerpetualTrading.take", MARKET, self._lots, sender=other)
                return True
        return False

    def _close_pair(self) -> None:
        """Close both positions of the pair against each other.

        If the weaker account cannot pay for that, another account liquidates it.
        """
        market = self._market
        if market.try_trade(LEFT, RIGHT, -self._lots):
            return
        weak, strong = sorted((LEFT, RIGHT), key=lambda owner: market.update_and_read_standing(owner).own)
        buyer = OTHERS[0]
        market.apply_call_on_model("PerpetualTrading.liquidate", weak, MARKET, self._lots, sender=buyer)
        market.apply_unsigned_trade_at_mark(buyer, strong, market.read_size(strong))

    def _seize_and_roll_until_final(self) -> None:
        """Seize insolvent accounts and advance cycles at the last price, until all losses are settled."""
        market = self._market
        price = market.read_mark() // _POINT
        for _ in range(3):
            while sum(
                [
                    market.try_call_on_model("PerpetualMarket.seize_insolvent", each)
                    for each in (LEFT, RIGHT, *OTHERS)
                ]
            ):
                pass
            market.wait_and_roll_cycle(price)
