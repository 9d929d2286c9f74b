"""Margin against a pair of one owner, long against short; docs/explanation/self-hedge.md has the study.

The pair opens at the oldest mark there may be, and the next look finds the price a jump away. One account
loses its margin, the other gains the jump and pays a fee to close:

    gain <= jump - initial - (1 - jump)*fee, as a share of its notional
"""

from __future__ import annotations

from math import isqrt

from backstop.model.arithmetic import BASIS_POINTS, div_up

JUMP, JUMP_TIME = 1_800, 60
"""How far a price jumps [basis points] within some seconds or less; beyond them by the root of time."""
LOOK = 12
"""Seconds between two looks of those who bring prices and liquidate: a block."""


def compute_price_jump(seconds: int) -> int:
    """Return the largest price jump within some seconds [basis points], rounded up."""
    square = JUMP * JUMP * max(seconds, JUMP_TIME)
    return min(BASIS_POINTS, isqrt(div_up(square, JUMP_TIME) - 1) + 1)


def compute_self_hedge_initial_margin(mark_age: int, trade_fee: int) -> int:
    """Return the least initial margin at which opposite positions of one owner gain nothing.

    The result is in basis points. `mark_age` is the maximum age of the mark price [seconds]. `trade_fee` is
    the minimum fee of a trade [basis points of notional]. The fee for opening is not counted.
    """
    return compute_self_hedge_break_even_margin(compute_price_jump(mark_age + LOOK), trade_fee)


def compute_self_hedge_break_even_margin(price_move: int, closing_fee: int) -> int:
    """Return the least initial margin at which opposite positions gain nothing by a price move.

    All are in basis points. The move is a share of the price before it. The account that gained pays the
    closing fee.
    """
    return price_move - (BASIS_POINTS - price_move) * closing_fee // BASIS_POINTS
