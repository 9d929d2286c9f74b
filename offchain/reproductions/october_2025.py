"""10 October 2025: what one venue's queue took from winners, beside the least that closes the same positions.

Two policies over the published waves, in whole dollars. The queue took what it took. The minimal policy takes
what each wave needed, the sum over its fills of the gap between the mark and the price that a position was
closed at, in proportion to what winners had won, and no more than that. Accounts are not known here: what the
queue took from each is not compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from offchain.reproductions.table import Reproduction, Row, by, row

SOURCES = (
    "Chitra and others, pluriholonomic/autodeleveraging-analysis at aae0be8, two-pass replay by waves: "
    "needed, taken and profit of winners, for each wave",
    "the same, totals by horizon: 45.0 million too much at the end of waves, 51.7 half a second later; with "
    "arXiv 2512.01112 and 2602.15182",
    "the same, policies by wave: the most that a winner gives in proportion to profit, of 16 waves",
)
HUNDREDTH = Fraction(1, 100)


class Wave(NamedTuple):
    """A burst of forced closes: dollars, rounded to the nearest."""

    needed: int
    taken: int
    won: int  # profit not realised yet, of each winner at most its account's value


WAVES = (
    Wave(2_266_240, 414_234, 261_289_319),
    Wave(1_383_878, 171_137, 210_635_032),
    Wave(1_065_843, 407_593, 272_477_911),
    Wave(115_497, 41_011, 250_526_851),
    Wave(8_056, 8_995, 48_764),
    Wave(1_576_039, 11_415_048, 547_076_496),
    Wave(44_868, 16_098, 6_903_445),
    Wave(1_622_229, 1_071_568, 401_055_615),
    Wave(373_726, 1_202_927, 199_475_885),
    Wave(5_177, 7_683, 13_649_077),
    Wave(5_584_124, 38_449_033, 643_417_039),
    Wave(1_021_113, 6_612_642, 430_615_207),
    Wave(9_400, 243_601, 199_636_233),
    Wave(1_545, 18_544, 4_505_482),
    Wave(672, 17_881, 31_119_032),
    Wave(1_263, 10_340, 37_117_880),
)
"""From 21:16:04 to 21:25:47 UTC, in their order."""


def minimal(wave: Wave) -> int:
    """What a wave needs, as far as its winners can pay it."""
    return min(wave.needed, wave.won)


def beyond(taken: Sequence[int], needed: Sequence[int]) -> int:
    """What was taken of waves that gave more than they needed."""
    return sum(max(0, took - need) for took, need in zip(taken, needed, strict=True))


def reproduce(seed: int) -> Reproduction:
    """Nothing is drawn: the seed does not matter."""
    needed, queue = [wave.needed for wave in WAVES], [wave.taken for wave in WAVES]
    least = [minimal(wave) for wave in WAVES]
    share = max(Fraction(100 * minimal(wave), wave.won) for wave in WAVES)
    rounded = by(len(WAVES))  # half a dollar each, twice
    excess = sum(queue) - sum(needed)

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
    ]
    return Reproduction("october-2025", "Auto-deleveraging on 10 October 2025", SOURCES, rows)
