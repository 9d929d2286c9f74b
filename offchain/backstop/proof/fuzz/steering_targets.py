"""Steering: some runs prefer moves that led to predicates which never held together.

The effects of moves are learned from earlier runs of the same campaign: from all rounds but the last one
before a run's own, which are done by then. So a campaign plays the same runs for any number of workers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate
from random import Random
from typing import Any, NamedTuple

from backstop.deployment.model_and_chain_deployment import find_model_class
from backstop.proof.fuzz.run_predicate_observer import Bits, get_model_class_of_predicate
from backstop.proof.fuzz.state_coverage import Changes, StateCoverage

ROUND = 20
"""Runs of a round."""
LAG = 2
"""Rounds that end before a round which learns from them begins."""
GAIN = 30.0
"""How much more the move weighs that leads to a wanted predicate most surely."""
_CANDIDATES = 8


class SteeringTarget(NamedTuple):
    """Two state predicates that should hold together, for a fuzz run to aim at.

    `rises` and `falls` hold, for each of the two predicates, the moves that made it true or false in earlier
    runs. Each move has a score of at most 1.
    """

    places: tuple[int, int]
    rises: tuple[dict[str, float], dict[str, float]]
    falls: tuple[dict[str, float], dict[str, float]]


def is_steered_run(run_index: int) -> bool:
    """Return whether a run prefers moves that lead to states which earlier runs did not reach.

    This holds for runs with an odd index, once two rounds of runs have passed.
    """
    return run_index >= LAG * ROUND and run_index % 2 == 1


def choose_targets(known: StateCoverage, seed: int, index: int) -> list[SteeringTarget]:
    """Return up to eight random targets (wanted states) for a run, in order of preference.

    Alternating by draw, a target is a pair of named predicates that never held together, or a rare predicate
    with another one. The run uses the first target that its deployment can reach.
    """
    random = Random(f"steering {seed} {index}")
    together = known.build_joint_bits_by_predicate()
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
    return [_build_steering_target(known, pair) for pair in pairs]


def _build_steering_target(state_coverage: StateCoverage, predicate_pair: tuple[int, int]) -> SteeringTarget:
    def scores(changes: Changes, place: int) -> dict[str, float]:
        found = {
            move: counts[place] / state_coverage.watched[move]
            for move, counts in changes.items()
            if counts[place]
        }
        most = max(found.values(), default=1.0)
        return {move: round(share / most, 4) for move, share in sorted(found.items())}

    first, second = predicate_pair
    return SteeringTarget(
        predicate_pair,
        (scores(state_coverage.risen, first), scores(state_coverage.risen, second)),
        (scores(state_coverage.fallen, first), scores(state_coverage.fallen, second)),
    )


def parse_steering_targets(json_targets: Sequence[Any]) -> list[SteeringTarget]:
    """Return targets of steered runs (wanted pairs of state predicates) from their JSON form."""
    return [SteeringTarget(*map(tuple, each)) for each in json_targets]


def accumulate_steered_move_weights(
    target: SteeringTarget, held_predicates: Bits, moves: Sequence[str], weights: Sequence[float]
) -> tuple[list[float], float]:
    """Return the cumulative weights of all moves except the last one, and the total weight.

    A move weighs more if it leads to a target predicate that does not hold. It weighs less if it ends a
    target predicate that holds.
    """
    found = list(weights)
    for place, rises, falls in zip(target.places, target.rises, target.falls, strict=True):
        holds = held_predicates >> place & 1
        for i, move in enumerate(moves):
            if not holds:
                found[i] *= 1 + GAIN * rises.get(move, 0)
            elif move in falls:
                found[i] /= 1 + GAIN * falls[move]
    *sums, whole = accumulate(found)
    return sums, whole


def find_first_reachable_target(
    targets: Sequence[SteeringTarget], contract_kinds: Iterable[str]
) -> tuple[int, SteeringTarget | None]:
    """Return the first target that a deployment of these contracts can reach, and its list index.

    The index comes first in the result. Return the number of targets, and None, if the deployment can reach
    none of them.
    """
    classes = {each.__name__ for kind in set(contract_kinds) for each in find_model_class(kind).__mro__}
    for place, target in enumerate(targets):
        if {get_model_class_of_predicate(each) for each in target.places} <= classes:
            return place, target
    return len(targets), None
