"""10 October 2025: what one venue's queue took from winners, beside the least that was needed.

Two policies over the published waves, in whole dollars. The queue took what it took. The minimal policy takes
what each wave needed, the sum over its fills of the gap between the mark and the price that a position was
closed at, in proportion to what winners had won, and no more than that. Accounts are not known here, so what
the queue took from each is not compared.

Then each wave goes through the margin market, on the contracts' bytecode and by either of its ways to
deleverage: one account owes what was needed, three have gained what was won. A dollar is 10**12 wei there, so
that the deployment's lines hold 600 million of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cache
from typing import NamedTuple

from backstop.deployment.examples import standard
from backstop.deployment.parameters import MarginParameters, PerpetualParameters
from backstop.deployment.signing import sign_order, trader
from backstop.hosts.host import CHAIN_ID
from backstop.keepers.deleveraging import in_order
from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from backstop.model.margin_orders import Order
from backstop.studies.reproductions.deployed import Deployed, deployed
from backstop.studies.reproductions.published import table
from backstop.studies.reproductions.table import Reproduction, Row, by, row

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


class Wave(NamedTuple):
    """Burst of forced closes, in dollars rounded to the nearest."""

    needed: int
    taken: int
    won: int  # unrealised profit, of each winner at most its account's value


WAVES = tuple(
    Wave(*(round(Fraction(each[name])) for name in Wave._fields)) for each in table("waves-2025-10-10")
)
"""Waves from 21:16:04 to 21:25:47 UTC, in order."""


def minimal(wave: Wave) -> int:
    """Return what a wave needs, as far as its winners can pay it."""
    return min(wave.needed, wave.won)


@cache
def through_the_market(waves: tuple[Wave, ...], deleveraging: str) -> list[int]:
    """Play waves in the margin market and return what it takes from each one's winners [wei].

    The failing position is smaller than half of what the first winner has gained.
    """
    terms = PerpetualParameters("WETH", DOLLAR // (BEFORE - AFTER), dust=0)
    parameters = replace(standard(), margin=MarginParameters((terms,), policy=deleveraging))
    with deployed(parameters) as here:
        return _Market(here).play(waves)


class _Market:
    """Margin market with shorts that win, a long that fails, and others who are long."""

    def __init__(self, here: Deployed) -> None:
        self.here, self.nonce = here, 0
        self._price(BEFORE)
        here.borrow("rich", 0, 100 * WAD, 20_000 * WAD)
        here.do("Stablecoin", "approve", here.at("MarginMarket"), MAX_UINT256, sender="rich")

    def play(self, waves: Sequence[Wave]) -> list[int]:
        """Play the waves one after the other, from the same price to the same price."""
        return [self._wave(i, wave) for i, wave in enumerate(waves)]

    def _wave(self, i: int, wave: Wave) -> int:
        """Play one wave: the long loses twice its margin, a dollar a lot, and owes as much again."""
        longs, shorts = [f"long_{i}", f"others_{i}"], [f"{name}_{i}" for name in WINNERS]
        failing = 2 * wave.needed
        self._deposit(longs[0], wave.needed)
        self._deposit(longs[1], 2 * wave.won)
        lots = [wave.won // 2, wave.won // 3, wave.won - wave.won // 2 - wave.won // 3]
        for name, size, share in zip(shorts, lots, (1, 2, 5), strict=True):
            self._deposit(name, size * share)
        self._trade(longs[0], shorts[0], failing, BEFORE)
        for name, size in zip(shorts, (lots[0] - failing, *lots[1:]), strict=True):
            self._trade(longs[1], name, size, BEFORE)
        self._price(AFTER)
        before = self._equity(shorts)
        self.here.do("MarginDeleverager", "begin", trader(longs[0]), 0, sender="anybody")
        standings = {
            trader(name): self.here.read("MarginDeleverager", "standing_of", trader(name)) for name in shorts
        }
        assert sum(standing.gain for standing in standings.values()) == wave.won * DOLLAR
        ranked = in_order(self.here.both.model.world.contracts["MarginDeleverager"].KIND, standings)
        self.here.do("MarginDeleverager", "submit", tuple(ranked), sender="anybody")
        self.here.do("MarginDeleverager", "execute", 2 * len(ranked), sender="anybody")
        taken = before - self._equity(shorts)
        # The next wave begins with an empty market.
        for name in shorts:
            size = self.here.read("MarginMarket", "position_of", trader(name), 0).size
            if size:
                self._trade(name, longs[1], -size, AFTER)
        self._price(BEFORE)
        return taken

    def _equity(self, names: Sequence[str]) -> int:
        return sum(self.here.read("MarginMarket", "worth_of", trader(name), 0).equity for name in names)

    def _deposit(self, name: str, dollars: int) -> None:
        self.here.do("MarginMarket", "deposit", trader(name), dollars * DOLLAR, sender="rich")

    def _trade(self, buyer: str, seller: str, lots: int, price: int) -> None:
        self.nonce += 1
        sides: list[Order | bytes] = []
        for name, size in ((buyer, lots), (seller, -lots)):
            order = Order(trader(name), 0, size, price * DOLLAR // (BEFORE - AFTER), MAX_UINT256, self.nonce)
            sides += [order, sign_order(name, order, CHAIN_ID, self.here.at("MarginOrders"))]
        self.here.do("MarginOrders", "fill", *sides, lots, sender="anybody")

    def _price(self, price: int) -> None:
        """Report a price twice, so that it is both the current and the next one."""
        for _ in range(2):
            self.here.price(0, price * RAY)


def beyond(taken: Sequence[int], needed: Sequence[int]) -> int:
    """Sum what was taken beyond the need, over the waves that gave more than they needed."""
    return sum(max(0, took - need) for took, need in zip(taken, needed, strict=True))


def reproduce(seed: int) -> Reproduction:
    """Compare both policies; the seed does not matter, as nothing is drawn."""
    needed, queue = [wave.needed for wave in WAVES], [wave.taken for wave in WAVES]
    least = [minimal(wave) for wave in WAVES]
    share = max(Fraction(100 * minimal(wave), wave.won) for wave in WAVES)
    rounded = by(len(WAVES))  # half a dollar each, twice
    excess = sum(queue) - sum(needed)

    market = {way: through_the_market(WAVES, way) for way in ("ranked", "shared")}

    def dollars(figure: str, ours: int, published: int | None = None, source: int = 0) -> Row:
        return row(figure, ours, published, rounded, unit="USD", source=source)

    rows = [
        dollars("needed by all waves", sum(needed), 15_079_670, 2),
        dollars("taken by the queue", sum(queue), 60_108_335, 2),
        dollars("  more than needed, all waves together", excess, 45_028_666, 2),
        dollars("  more than needed, by waves that gave too much", beyond(queue, needed), source=1),
        dollars("  less than needed, by the others", beyond(needed, queue), source=1),
        row("  waves that gave too much", sum(wave.taken > wave.needed for wave in WAVES), source=1),
        dollars("taken by the minimal policy", sum(least)),
        dollars("  more than needed, by any wave", beyond(least, needed)),
        dollars("  left unpaid", beyond(needed, least)),
        row(
            "  of a winner's profit, at most",
            share,
            Fraction("16.52"),
            by(HUNDREDTH),
            unit="%",
            places=2,
            source=3,
        ),
        *(
            line
            for way, taken in market.items()
            for line in (
                row(f"taken by the margin market, {way}", Fraction(sum(taken), DOLLAR), unit="USD"),
                row(
                    "  waves that take the minimum to the wei",
                    sum(took == wave * DOLLAR for took, wave in zip(taken, least, strict=True)),
                ),
            )
        ),
    ]
    return Reproduction("october-2025", "Auto-deleveraging on 10 October 2025", SOURCES, rows)
