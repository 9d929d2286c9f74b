"""The one price at which a market is settled: a mean that follows from the market's history alone."""

from __future__ import annotations

from typing import Any, NamedTuple

from backstop.contract_base import World, declare_record_slot_bit_widths
from backstop.model.bounds import FINAL_DEADLINE, FINAL_WINDOW, MAX_FINAL_HALT
from backstop.model.roles import Administered


@declare_record_slot_bit_widths(32, 32, 32, 160)
class Closing(NamedTuple):
    """How far the time of a market's closing is counted; times in seconds."""

    begun_at: int = 0
    counted_to: int = 0
    valid: int = 0  # seconds of them in which there was a valid price
    sum: int = 0  # ray x seconds

    def count_time(self, market: Market, now: int) -> Closing:
        """Return the same with the time up to now."""
        start = max(self.counted_to, min(market.held_until, self.begun_at + MAX_FINAL_HALT))
        end = min(now, market.fresh_until + 1, self.begun_at + FINAL_DEADLINE)
        seconds = 0 if market.waits else max(0, min(end - start, FINAL_WINDOW - self.valid))
        return Closing(self.begun_at, now, self.valid + seconds, self.sum + market.price * seconds)

    def is_over(self, now: int) -> bool:
        """Tell, once it is counted up to now, whether nothing later counts."""
        return self.valid == FINAL_WINDOW or now >= self.begun_at + FINAL_DEADLINE

    def compute_final_window_mean_price(self, too_short_window_price: int) -> int:
        """Return the mean price [ray], rounded down; another one for want of time."""
        return too_short_window_price if self.valid * 4 < FINAL_WINDOW else self.sum // self.valid


@declare_record_slot_bit_widths(112, 1)
class FinalPrice(NamedTuple):
    """A price (ray); before it is final, the one for want of time."""

    price: int = 0
    is_final: bool = False


class Market(NamedTuple):
    """State of a market since its last change."""

    price: int  # ray
    fresh_until: int  # seconds
    held_until: int  # seconds: a halt or a grace holds it back
    waits: bool  # a price that is far off waits to be confirmed


class SettlementPrices(Administered):
    """Prices at which markets are settled. See contracts/modules/settlement_price.vy."""

    def __init__(self, world: World, name: str, address: str, admin: str, *others: Any) -> None:
        super().__init__(world, name, address, admin, *others)
        self.closings = self.table("settlement_price.closings", Closing())
        self.final_prices = self.table("settlement_price.final_prices", FinalPrice())

    def _choose_earlier_closing_key(self, collateral_type: int, at: int) -> int:
        """Return the key of the earlier closing: a closing planned for a moment, or the settlement's."""
        settled_at = self.closings[collateral_type].begun_at
        return collateral_type if 0 < settled_at < at else build_key(collateral_type, at)

    def _begin_closing(self, key: int, at: int, otherwise: int) -> None:
        self.closings[key] = Closing(at, at)
        self.final_prices[key] = FinalPrice(otherwise)

    def _set_final(self, key: int, price: int) -> None:
        self.final_prices[key] = FinalPrice(price, True)
        self.emit("FinalPriceSet", key & 0xFF, price)

    def _count_time_and_finalise_price(self, key: int, market: Market) -> bool:
        """Count the time up to now, in which the market was as given; tell whether the price is final now."""
        closing = self.closings[key].count_time(market, self.world.timestamp)
        self.closings[key] = closing
        if not closing.is_over(self.world.timestamp):
            return False
        self._set_final(key, closing.compute_final_window_mean_price(self.final_prices[key].price))
        return True

    def _has_begun(self, key: int) -> bool:
        return bool(self.closings[key] != Closing() or self.final_prices[key] != FinalPrice())

    def _compute_final_price(
        self, key: int, market: Market, at: int, otherwise: int
    ) -> tuple[bool, int, Closing]:
        """Return whether the price is final; return it [ray], 0 if not, and the closing counted up to now.

        A planned closing begins at its moment without a call: `at`, 0 if none has come.
        """
        now, final, closing = self.world.timestamp, self.final_prices[key], self.closings[key]
        if final.is_final:
            return True, final.price, closing
        if closing.begun_at == 0:
            if at == 0:
                return False, 0, closing
            closing, final = Closing(at, at), FinalPrice(otherwise)
        closing = closing.count_time(market, now)
        return (
            (True, closing.compute_final_window_mean_price(final.price), closing)
            if closing.is_over(now)
            else (False, 0, closing)
        )


def build_key(collateral_type: int, at: int) -> int:
    """Return the key of a closing that was planned for a moment; of the settlement's without one."""
    return collateral_type | at << 8
