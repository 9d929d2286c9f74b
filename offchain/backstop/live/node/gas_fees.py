"""Gas fees of a transaction by EIP-1559, and of one that takes another's place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from backstop.errors import BackstopError

GWEI = 10**9
FEE_CAP = 500 * GWEI
"""The highest gas price that any keeper means to pay."""


TIP_CAP = 5 * GWEI
"""Upper limit of a tip [wei a gas].

A node's report of others' tips is its word alone, and every wei of a tip is paid. The same holds for the
raises of replacements, which a node may hold back until the fees have risen.
"""


class FeesTooHighError(BackstopError):
    """Error raised if gas costs more than the fee cap."""


class Fees(NamedTuple):
    """EIP-1559 fees of a transaction [wei per gas]: maximum, tip, and price if mined now (`expected`)."""

    most: int
    tip: int
    expected: int


def offer_fees(base: int, tip: int, cap: int, tip_cap: int = TIP_CAP) -> Fees:
    """Return the fees to offer: twice the base fee plus the tip, within the caps [wei per gas].

    The first offer takes at most half of `tip_cap`, so that a replacement can raise the tip. Raise
    FeesTooHighError if base fee and tip exceed `cap`.
    """
    tip = min(tip, cap, tip_cap // 2)
    if base + tip > cap:
        raise FeesTooHighError(
            f"gas costs {(base + tip) / GWEI:.1f} gwei, the cap is {cap / GWEI:.1f}: "
            "wait, or raise it with --fee-cap"
        )
    return Fees(min(2 * base + tip, cap), tip, base + tip)


def usual_tip(history: Mapping[str, Any]) -> int:
    """Return the usual tip of the last blocks: the median of their median tips [wei per gas].

    `history` is an answer to eth_feeHistory. One gwei if no transaction tipped: such blocks do not show which
    tip suffices for the next block.
    """
    tips = sorted(tip for rewards in history.get("reward") or () if (tip := int(rewards[0], 16)))
    return tips[len(tips) // 2] if tips else GWEI


def raise_fees(old: Fees, market: Fees, cap: int, tip_cap: int = TIP_CAP) -> Fees | None:
    """Return the lowest fees at which nodes accept a replacement of a transaction with fees `old`.

    Maximum and tip rise by an eighth, rounded up, and at least to the market's fees. None if either exceeds
    its cap.
    """
    most, tip = (
        max(_add_an_eighth_rounded_up(old.most), market.most),
        max(_add_an_eighth_rounded_up(old.tip), market.tip),
    )
    return None if most > cap or tip > tip_cap else Fees(most, min(tip, most), market.expected)


def _add_an_eighth_rounded_up(fee: int) -> int:
    return max(-(-fee * 9 // 8), fee + 1)
