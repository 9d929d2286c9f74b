"""Steering: some runs prefer moves that led to predicates which never held together.

What led where is learned from earlier runs of the same campaign: from all rounds but the last one before a
run's own, which are done by then. So a campaign plays the same runs whatever the number of workers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate
from random import Random
from typing import Any, NamedTuple

from backstop.deployment.contract_creation import find_model_class
from backstop.proof.fuzz.state_coverage import Changes, StateCoverage
from backstop.proof.fuzz.state_observer import Bits, get_owner_class

ROUND = 20
"""Runs of a round."""
LAG = 2
"""Rounds that end before a round which learns from them begins."""
GAIN = 30.0
"""How much more the move weighs that leads to a wanted predicate most surely."""
_CANDIDATES = 8


class SteeringTarget(NamedTuple):
    """Two predicates that are wanted together, each with what leads to it and what ends it, by move."""

    places: tuple[int, int]
    rises: tuple[dict[str, float], dict[str, float]]
    falls: tuple[dict[str, float], dict[str, float]]


def is_steered(index: int) -> bool:
    """Return whether a run is steered: every other one, once there is something to learn from."""
    return index >= LAG * ROUND and index % 2 == 1


def choose_targets(known: StateCoverage, seed: int, index: int) -> list[SteeringTarget]:
    """Return what a run may be steered to, in the order of preference; its deployment decides.

    By turns a pair of named predicates is wanted, or a predicate that held in few runs with any other.
    """
    random = Random(f"steering {seed} {index}")
    together = known.compute_joint_rows()
    named = [(a, b) for a, b in known.iter_missing_named_pairs() if a in together and b in together]
    places = sorted(together)
    weights = [1 / (1 + known.runs[place]) for place in places]
    pairs: list[tuple[int, int]] = []
    for attempt in range(_CANDIDATES if places else 0):
        if named and (attempt + index // 2) % 2:
            pairs.append(random.choice(named))
            continue
        (rare,) = random.choices(places, weights)
        others = [place for place in places if not together[rare] >> place & 1]
        if others:
            pairs.append((rare, random.choice(others)))
    return [_make_target(known, pair) for pair in pairs]


def _make_target(known: StateCoverage, pair: tuple[int, int]) -> SteeringTarget:
    def scores(changes: Changes, place: int) -> dict[str, float]:
        found = {
            move: counts[place] / known.watched[move] for move, counts in changes.items() if counts[place]
        }
        most = max(found.values(), default=1.0)
        return {move: round(share / most, 4) for move, share in sorted(found.items())}

    first, second = pair
    return SteeringTarget(
        pair,
        (scores(known.risen, first), scores(known.risen, second)),
        (scores(known.fallen, first), scores(known.fallen, second)),
    )


def read_targets(content: Sequence[Any]) -> list[SteeringTarget]:
    """Read targets back from JSON."""
    return [SteeringTarget(*map(tuple, each)) for each in content]


def sum_steered_weights(
    target: SteeringTarget, held: Bits, moves: Sequence[str], weights: Sequence[float]
) -> tuple[list[float], float]:
    """Return the sums of the moves' weights but for the last one, and the sum of all.

    A move that leads to a predicate which does not hold weighs more, one that ends what holds weighs less.
    """
    found = list(weights)
    for place, rises, falls in zip(target.places, target.rises, target.falls, strict=True):
        holds = held >> place & 1
        for i, move in enumerate(moves):
            if not holds:
                found[i] *= 1 + GAIN * rises.get(move, 0)
            elif move in falls:
                found[i] /= 1 + GAIN * falls[move]
    *sums, whole = accumulate(found)
    return sums, whole


def first_applicable(
    targets: Sequence[SteeringTarget], kinds: Iterable[str]
) -> tuple[int, SteeringTarget | None]:
    """Return the first target whose predicates can hold in a deployment of these contracts, and its place.

    None, and the number of targets, if there is none.
    """
    classes = {each.__name__ for kind in set(kinds) for each in find_model_class(kind).__mro__}
    for place, target in enumerate(targets):
        if {get_owner_class(each) for each in target.places} <= classes:
            return place, target
    return len(targets), None
