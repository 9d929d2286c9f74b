"""10 October 2025: one venue's deleveraging of winners, compared with the least that was needed.

Two policies over the published waves, in whole dollars. The queue took the published amounts. The minimal
policy takes the need of each wave: the sum over its fills of the gap between the mark and the closing price
of a position. Winners pay it pro rata to their gains, and no more than that. Accounts are not known here, so
amounts by account are not compared.

Then each wave goes through the perpetual market, on the contracts' bytecode and by each of its policies. One
account owes the needed amount, and three have gained the winners' gains. A dollar is 10**12 wei there, so
that the deployment's lines hold 600 million of them. The number of positions that a rank closes is not
compared: the venue's accounts are not known, and three of our own say nothing about them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

from backstop.deployment.contracts_by_parameter_name import MARGIN_POLICIES
from backstop.deployment.devnet_trader_signatures import get_trader_account, sign_order
from backstop.deployment.example_parameters import build_standard_parameters
from backstop.deployment.parameter_dataclasses import MarginParameters, PerpetualParameters
from backstop.hosts.host_interface import CHAIN_ID
from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from backstop.model.margin_orders import Order
from backstop.model.price_path import SHORT
from backstop.model.ranked_deleveraging import RankedDeleveraging, compute_gain_to_worth_score
from backstop.studies.reproductions.figure_comparison import (
    FigureRow,
    Reproduction,
    build_absolute_tolerance,
    build_row,
)
from backstop.studies.reproductions.lockstep_deployment import LockstepDeployment, open_lockstep_deployment
from backstop.studies.reproductions.published_tables import load_table

SOURCES = (
    "Chitra and others, pluriholonomic/autodeleveraging-analysis at aae0be8, two-pass replay by waves: "
    "needed, taken and profit of winners, for each wave",
    "the same, totals by horizon: 45.0 million too much at the end of waves, 51.7 half a second later; with "
    "arXiv 2512.01112 and 2602.15182",
    "the same, policies by wave: the most that a winner gives in proportion to profit, of 16 waves",
)
HUNDREDTH = Fraction(1, 100)
DOLLAR = 10**12
"""A dollar in the margin market [wei]."""
BEFORE, AFTER = 2_000, 1_000
"""Prices before and after the fall [stablecoins a coin], by which a short of one lot gains a dollar."""
WINNERS = ("winner_1", "winner_2", "winner_3")
HOUSE = "PerpetualMarket"


class Wave(NamedTuple):
    """Burst of forced closes: needed amount, taken amount and winners' profit [dollars, rounded]."""

    needed: int
    taken: int
    won: int  # unrealised profit, of each winner at most its account's value


WAVES = tuple(
    Wave(*(round(Fraction(each[name])) for name in Wave._fields)) for each in load_table("waves-2025-10-10")
)
"""Waves from 21:16:04 to 21:25:47 UTC, in order."""


def compute_least_taken_from_winners(wave: Wave) -> int:
    """Return the amount that a wave needs, or its winners' profit if that is less [dollars]."""
    return min(wave.needed, wave.won)


@cache
def compute_amounts_taken_from_winners(waves: tuple[Wave, ...], policy: str) -> list[int]:
    """Run the waves in the perpetual market, and return the amount taken from winners in each [wei].

    `policy` is the market's rule for deleveraging. The position that fails is smaller than half of the first
    winner's gain. The market has no insurance fund and no fees.
    """
    terms = PerpetualParameters("WETH", DOLLAR // (BEFORE - AFTER), dust=0)
    margin = MarginParameters((terms,), policy=policy, maker_fee=0, taker_fee=0, third_bond=0, divergence=0)
    parameters = replace(build_standard_parameters(), margin=margin)
    with open_lockstep_deployment(parameters) as here:
        return _WaveMarket(here).list_winner_losses_by_wave(waves)


class _WaveMarket:
    """Perpetual market in which shorts win, one long becomes insolvent, and another long pays."""

    def __init__(self, here: LockstepDeployment) -> None:
        self.here, self.nonce = here, 0
        self._report_price(BEFORE)
        here.open_vault("rich", 0, 100 * WAD, 20_000 * WAD)
        here.apply_call(
            "Stablecoin", "approve", here.get_contract_or_account_address(HOUSE), MAX_UINT256, sender="rich"
        )

    def list_winner_losses_by_wave(self, waves: Sequence[Wave]) -> list[int]:
        """Run the waves one after the other, and return the amount taken from winners in each [wei]."""
        return [self._play_wave_and_compute_taken_gains(i, wave) for i, wave in enumerate(waves)]

    def _play_wave_and_compute_taken_gains(self, wave_index: int, wave: Wave) -> int:
        """Run one wave, and return the amount taken from its winners [wei].

        The failing long loses twice its margin at a dollar per lot, and so owes as much as its margin.
        """
        longs, shorts = (
            [f"long_{wave_index}", f"others_{wave_index}"],
            [f"{name}_{wave_index}" for name in WINNERS],
        )
        failing = 2 * wave.needed
        self._deposit_dollars(longs[0], wave.needed)
        self._deposit_dollars(longs[1], 2 * wave.won)
        lots = [wave.won // 2, wave.won // 3, wave.won - wave.won // 2 - wave.won // 3]
        for name, size, share in zip(shorts, lots, (1, 2, 5), strict=True):
            self._deposit_dollars(name, size * share)
        self._submit_trade(longs[0], shorts[0], failing)
        for name, size in zip(shorts, (lots[0] - failing, *lots[1:]), strict=True):
            self._submit_trade(longs[1], name, size)
        self._report_price(AFTER)
        self._apply_call("seize_insolvent", get_trader_account(longs[0]))
        self._roll_cycle()
        self._apply_call("seize_insolvent", get_trader_account(longs[0]))
        gains = {name: self._apply_call("gains_of", get_trader_account(name), 0) for name in shorts}
        assert sum(gained.short for gained in gains.values()) == wave.won * DOLLAR
        self._report_price(AFTER)
        self._close_positions(
            sorted(shorts, key=lambda name: compute_gain_to_worth_score(gains[name], SHORT), reverse=True)
        )
        self._close_winners(longs[1], shorts)
        before = self._sum_cash(shorts)
        self._roll_cycle()
        for name in shorts:
            self._apply_call("update_account", get_trader_account(name))
        taken = before - self._sum_cash(shorts)
        # The next wave begins with an empty market.
        self._report_price(BEFORE)
        return taken

    def _close_positions(self, ranked: Sequence[str]) -> None:
        """Close winners' positions against the insolvent account's, if the market's policy does so."""
        closer = self.here.both.model.world.contracts.get("PerpetualCloser")
        if closer is None:
            return
        accounts = tuple(map(get_trader_account, ranked))
        if isinstance(closer, RankedDeleveraging):
            self.here.apply_call("PerpetualCloser", "submit", 0, SHORT, accounts, sender="anybody")
            self.here.apply_call("PerpetualCloser", "execute", 0, SHORT, accounts, sender="anybody")
        else:
            ascending = tuple(sorted(accounts, key=lambda owner: int(owner, 16)))
            self.here.apply_call("PerpetualCloser", "share", 0, SHORT, ascending, sender="anybody")

    def _close_winners(self, other: str, shorts: Sequence[str]) -> None:
        """Close the winners' positions against unassigned lots first, then against the long `other`."""
        for name in shorts:
            long, short = self.here.read_view(HOUSE, "lots_of", 0)
            lots = -self._read_size(name)
            left = min(lots, short - long)
            if left:
                self.here.apply_call("PerpetualTrading", "take", 0, left, sender=get_trader_account(name))
            if lots > left:
                self._submit_trade(name, other, lots - left)

    def _roll_cycle(self) -> None:
        """Advance the clock by four windows, and call `advance_cycle`, which settles the losses."""
        margin = self.here.parameters.margin
        assert margin is not None
        self.here.advance_time(4 * margin.window)
        self._apply_call("advance_cycle")

    def _apply_call(self, method: str, *args: Any) -> Any:
        return self.here.apply_call(HOUSE, method, *args, sender="anybody")

    def _sum_cash(self, names: Sequence[str]) -> int:
        return sum(self.here.read_view(HOUSE, "account_of", get_trader_account(name)).cash for name in names)

    def _read_size(self, name: str) -> int:
        return sum(held.size for held in self.here.read_view(HOUSE, "holdings_of", get_trader_account(name)))

    def _deposit_dollars(self, name: str, dollars: int) -> None:
        self.here.apply_call(HOUSE, "deposit", get_trader_account(name), dollars * DOLLAR, sender="rich")

    def _submit_trade(self, buyer: str, seller: str, lots: int) -> None:
        self.nonce += 1
        price = self.here.read_view(HOUSE, "mark_of", 0)
        sides: list[Order | bytes] = []
        for name, size in ((buyer, lots), (seller, -lots)):
            order = Order(get_trader_account(name), 0, size, price, MAX_UINT256, self.nonce)
            sides += [
                order,
                sign_order(name, order, CHAIN_ID, self.here.get_contract_or_account_address("MarginOrders")),
            ]
        self.here.apply_call("MarginOrders", "fill", *sides, lots, sender="anybody")

    def _report_price(self, price: int) -> None:
        """Report a price [stablecoins per coin], and update the market's mark price."""
        self.here.report_price(0, price * RAY)
        self._apply_call("accrue", 0)


def sum_excess(taken: Sequence[int], needed: Sequence[int]) -> int:
    """Return the total amount taken beyond the need, over the waves that took too much."""
    return sum(max(0, took - need) for took, need in zip(taken, needed, strict=True))


def reproduce_result(seed: int) -> Reproduction:
    """Compare the venue's deleveraging of winners with the least amount that was needed.

    Nothing is drawn, so that `seed` has no effect.
    """
    needed, queue = [wave.needed for wave in WAVES], [wave.taken for wave in WAVES]
    least = [compute_least_taken_from_winners(wave) for wave in WAVES]
    share = max(Fraction(100 * compute_least_taken_from_winners(wave), wave.won) for wave in WAVES)
    rounded = build_absolute_tolerance(len(WAVES))  # half a dollar each, twice
    excess = sum(queue) - sum(needed)

    market = {policy: compute_amounts_taken_from_winners(WAVES, policy) for policy in MARGIN_POLICIES}

    def dollars(figure: str, ours: int, published: int | None = None, source: int = 0) -> FigureRow:
        return build_row(figure, ours, published, rounded, unit="USD", source=source)

    rows = [
        dollars("needed by all waves", sum(needed), 15_079_670, 2),
        dollars("taken by the queue", sum(queue), 60_108_335, 2),
        dollars("  more than needed, all waves together", excess, 45_028_666, 2),
        dollars("  more than needed, by waves that gave too much", sum_excess(queue, needed), source=1),
        dollars("  less than needed, by the others", sum_excess(needed, queue), source=1),
        build_row("  waves that gave too much", sum(wave.taken > wave.needed for wave in WAVES), source=1),
        dollars("taken by the minimal policy", sum(least)),
        dollars("  more than needed, by any wave", sum_excess(least, needed)),
        dollars("  left unpaid", sum_excess(needed, least)),
        build_row(
            "  of a winner's profit, at most",
            share,
            Fraction("16.52"),
            build_absolute_tolerance(HUNDREDTH),
            unit="%",
            places=2,
            source=3,
        ),
        *(
            line
            for policy, taken in market.items()
            for line in (
                build_row(
                    f"taken by the perpetual market, {policy}", Fraction(sum(taken), DOLLAR), unit="USD"
                ),
                build_row(
                    "  waves that take the minimum, and up to a wei of each winner",
                    sum(
                        wave * DOLLAR <= took <= wave * DOLLAR + len(WINNERS)
                        for took, wave in zip(taken, least, strict=True)
                    ),
                ),
            )
        ),
    ]
    return Reproduction("october-2025", "Auto-deleveraging on 10 October 2025", SOURCES, rows)
