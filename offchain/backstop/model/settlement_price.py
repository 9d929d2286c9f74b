"""The one price at which a market is settled: a mean that follows from the market's history alone."""

from __future__ import annotations

from typing import Any, NamedTuple

from backstop.contract_base import World, declare_record_slot_bit_widths
from backstop.model.bounds import FINAL_DEADLINE, FINAL_WINDOW, MAX_FINAL_HALT
from backstop.model.roles import Administered


@declare_record_slot_bit_widths(32, 32, 32, 160)
class Closing(NamedTuple):
    """State of a final price computation: start, counted time [seconds], and sum [ray x seconds]."""

    begun_at: int = 0
    counted_to: int = 0
    valid: int = 0  # seconds of them in which there was a valid price
    sum: int = 0  # ray x seconds

    def count_time(self, market: Market, now: int) -> Closing:
        """Return the final price computation with the time up to `now` counted at the market's present price.

        Time without a fresh price, in a halt, or while a price waits for confirmation does not count.
        """
        start = max(self.counted_to, min(market.held_until, self.begun_at + MAX_FINAL_HALT))
        end = min(now, market.fresh_until + 1, self.begun_at + FINAL_DEADLINE)
        seconds = 0 if market.waits else max(0, min(end - start, FINAL_WINDOW - self.valid))
        return Closing(self.begun_at, now, self.valid + seconds, self.sum + market.price * seconds)

    def is_over(self, now: int) -> bool:
        """Return True if the final price can be computed: its window is full or its deadline has passed.

        The time up to `now` must have been counted.
        """
        return self.valid == FINAL_WINDOW or now >= self.begun_at + FINAL_DEADLINE

    def compute_final_window_mean_price(self, too_short_window_price: int) -> int:
        """Return the mean price of the counted time [ray], rounded down.

        If less than a quarter of the window was counted, return `too_short_window_price`.
        """
        return too_short_window_price if self.valid * 4 < FINAL_WINDOW else self.sum // self.valid


@declare_record_slot_bit_widths(112, 1)
class FinalPrice(NamedTuple):
    """Final price [ray]; before it is final, the fallback price for too short a window."""

    price: int = 0
    is_final: bool = False


class Market(NamedTuple):
    """State of a market since its last price change, for the computation of a final price."""

    price: int  # ray
    fresh_until: int  # seconds
    held_until: int  # seconds: a halt or a grace holds it back
    waits: bool  # a price that is far off waits to be confirmed


class SettlementPrices(Administered):
    """Computation of markets' final prices (model of contracts/modules/settlement_price.vy)."""

    def __init__(self, world: World, name: str, address: str, admin: str, *others: Any) -> None:
        super().__init__(world, name, address, admin, *others)
        self.closings = self.table("settlement_price.closings", Closing())
        self.final_prices = self.table("settlement_price.final_prices", FinalPrice())

    def _choose_earlier_closing_key(self, collateral_type: int, at: int) -> int:
        """Return the key of the earlier final price: the one planned for time `at`, or the settlement's."""
        settled_at = self.closings[collateral_type].begun_at
        return collateral_type if 0 < settled_at < at else build_key(collateral_type, at)

    def _begin_closing(self, key: int, at: int, otherwise: int) -> None:
        self.closings[key] = Closing(at, at)
        self.final_prices[key] = FinalPrice(otherwise)

    def _set_final(self, key: int, price: int) -> None:
        self.final_prices[key] = FinalPrice(price, True)
        self.emit("FinalPriceSet", key & 0xFF, price)

    def _count_time_and_finalise_price(self, key: int, market: Market) -> bool:
        """Count the time up to now at the market's state, and return True if the price has become final."""
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
        """Return whether the price is final, the price [ray] (0 if not), and the state counted up to now.

        A planned computation starts at time `at` without a call; `at` is 0 if no time has come.
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
    """Return the storage key of a final price planned for time `at`; with `at` 0 that of the settlement."""
    return collateral_type | at << 8
