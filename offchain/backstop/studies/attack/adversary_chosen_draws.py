"""Random streams of one path, with the numbers that an adversary chooses in place of some."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum, sqrt
from typing import Any, NamedTuple, cast

import numpy as np

from backstop.simulation.scenario.draw_scenario import Floats, RandomStreams
from backstop.simulation.scenario.scenario_records import Scenario


class PriceJump(NamedTuple):
    """Jump of one price, or crash of all prices with a crash: time [seconds] and size."""

    symbol: str
    at: int
    deviations: float


class AdversaryChosenStreams(RandomStreams):
    """Random streams of a path in which an adversary chose some of the numbers."""

    def __init__(
        self,
        seed: int,
        scenario: Scenario,
        driven: Sequence[str],
        pushes: dict[str, list[float]],
        jumps: tuple[PriceJump, ...],
        crash: PriceJump | None,
    ) -> None:
        super().__init__(seed)
        self._blocks = scenario.blocks
        self._block_time = scenario.block_time
        self._driven = driven
        self._pushes = pushes
        self._jumps = jumps
        self._crash = crash

    def get_labelled_stream(self, *labels: str | int) -> np.random.Generator:
        """Return the random generator for these labels, or a stand-in that returns the chosen numbers."""
        stream = super().get_labelled_stream(*labels)
        purpose, symbol = labels[0], labels[-1]
        answer: object = stream
        if purpose == "price" and symbol in self._pushes:
            answer = _FixedGenerator(
                normals=self._shift_normals_to_span_sums(
                    stream.standard_normal(self._blocks), self._pushes[str(symbol)]
                )
            )
        elif purpose == "jumps" and symbol in self._driven:
            answer = _FixedGenerator(*self._build_jump_normals_and_counts(str(symbol)))
        elif purpose == "crash" and self._crash is not None:
            # The middle of the block before the crash, as a share of the time.
            answer = _FixedGenerator(share=(self._crash.at / self._block_time - 0.5) / self._blocks)
        elif purpose == "depth" and self._crash is not None:
            answer = _FixedGenerator(normals=self._crash.deviations)
        return cast(np.random.Generator, answer)

    def _shift_normals_to_span_sums(self, normals: Floats, chosen_span_sums: list[float]) -> Floats:
        """Shift the normal numbers of each span so that their standardised sum is the chosen one.

        The standardised sum is the sum over the root of the count.
        """
        pieces = np.array_split(normals, len(chosen_span_sums))
        return np.concatenate(
            [
                piece + (push - fsum(piece) / sqrt(len(piece))) / sqrt(len(piece))
                for piece, push in zip(pieces, chosen_span_sums, strict=True)
            ]
        )

    def _build_jump_normals_and_counts(self, symbol: str) -> tuple[Floats, Floats]:
        """Return normal numbers and jump counts per block that add up to the chosen jumps."""
        counts, sums = np.zeros(self._blocks), np.zeros(self._blocks)
        for jump in self._jumps:
            if jump.symbol == symbol:
                counts[jump.at // self._block_time - 1] += 1
                sums[jump.at // self._block_time - 1] += jump.deviations
        return sums / np.sqrt(np.maximum(counts, 1)), counts


class _FixedGenerator:
    """Stand-in for a random generator that returns given values."""

    def __init__(self, normals: Any = None, counts: Any = None, share: float = 0.0) -> None:
        self._normals = normals
        self._counts = counts
        self._share = share

    def standard_normal(self, size: int | None = None) -> Any:
        return self._normals

    def poisson(self, mean: float, size: int) -> Any:
        return self._counts

    def random(self) -> float:
        return self._share
