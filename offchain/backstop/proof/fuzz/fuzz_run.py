"""One run: a fresh deployment, and random moves on model and chain."""

from __future__ import annotations

import hashlib
from bisect import bisect
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate, count
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from backstop.contract_base import NoSuchFunctionError, RevertError
from backstop.deployment.contracts_by_parameter_name import MARGIN_POLICIES
from backstop.deployment.parameter_dataclasses import Parameters
from backstop.deployment.planned_contracts import plan_deployment
from backstop.hosts.artifacts import Artifacts
from backstop.hosts.host_interface import Host
from backstop.proof.fuzz import action_generators  # noqa: F401 (it registers the moves)
from backstop.proof.fuzz.generation_context import GenerationContext, Wait
from backstop.proof.fuzz.generator_registry import MOVES, ActionGenerator
from backstop.proof.fuzz.initial_actions import iter_adversarial_contract_creations, iter_funding_actions
from backstop.proof.fuzz.invalid_actions import make_invalid
from backstop.proof.fuzz.parameter_generator import draw_parameters_of_run
from backstop.proof.fuzz.run_predicate_observer import StateObserver
from backstop.proof.fuzz.steering_targets import (
    SteeringTarget,
    accumulate_steered_move_weights,
    find_first_reachable_target,
)
from backstop.proof.lockstep import TRACES, ProtocolLockstep, deploy_lockstep
from backstop.proof.properties import COUNTERFACTUAL_PROPERTIES, CounterfactualSeed
from backstop.system import Action, Outcome, count_slots

if TYPE_CHECKING:
    from backstop.proof.fuzz.planted_faults import FaultTrial

# Steps that share a block on Anvil, where mining one costs more than running it.
BLOCK = 20
# The share of actions that are sent with something wrong about them.
SPOILED = 0.06
# Steps between two counterfactual questions.
ASK_EVERY = 200
# The share of a run after which it may be wound up.
LATE = 0.85
# How much more moves of traders weigh in most runs that have a margin market: what follows from a loss,
# a ranking above all, takes many of them in a row.
TRADERS = 8
# Moves of which one is watched: a look before and after it.
WATCH_EVERY = 4
# Deployments that are drawn for a steered run, at most.
DEPLOYMENTS = 16


# Runs of ten that have a margin market, by their place, and its policy.
_MARGIN_AT = dict(zip((8, 2, 5), MARGIN_POLICIES, strict=True))


def derive_run_seed(seed: int, index: int) -> int:
    """Return the random seed of the campaign's run with this index: 8 bytes of a SHA-256 hash."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{index}".encode()).digest()[:8], "big")


def derive_policy_balanced_run_seed(campaign_seed: int, run_index: int) -> int:
    """Return the seed of a campaign's run, so that margin markets occur in fixed proportion.

    Of ten consecutive runs three have a margin market, one of each deficit policy. Two of these three favour
    the moves of traders, in rotation. So no policy is missed by chance, for any campaign seed and length.
    """
    turn, place = divmod(run_index, 10)
    kind = _MARGIN_AT.get(place)
    of_traders = kind is not None and (place // 3 + turn) % 3 != 2
    for attempt in count():
        found = derive_run_seed(campaign_seed, run_index + (attempt << 64))
        margin = draw_parameters_of_run(Random(found)).margin
        if (margin.policy if margin else None) == kind and (kind is None or found % 2 == of_traders):
            return found
    raise AssertionError("unreachable")


def derive_steered_seed(seed: int, index: int, targets: Sequence[SteeringTarget]) -> int:
    """Return the seed, of up to 16, of the deployment that can reach the highest-ranked target.

    A target is a combination of state predicates that no run has reached. `targets` are sorted by rank.
    """
    ranks = {}
    for attempt in range(DEPLOYMENTS):
        found = derive_run_seed(seed, index + (attempt << 64))
        kinds = plan_deployment(draw_parameters_of_run(Random(found))).contract_kinds.values()
        ranks[found], _ = find_first_reachable_target(targets, kinds)
        if not ranks[found]:
            break
    return min(ranks, key=ranks.__getitem__)


class RunStep(NamedTuple):
    """One step of a fuzz run: the name of its move (action generator), its call, and the outcome."""

    move: str
    action: Action
    outcome: Outcome


class FuzzRun:
    """Fuzz run: a random deployment on model and chain, and the random moves played on it.

    Equal seeds play the same steps on every host (revm or Anvil).
    """

    def __init__(
        self,
        host: Host,
        seed: int,
        *,
        artifacts: Artifacts | None = None,
        parameters: Parameters | None = None,
        check_every: int = 100,
        block: int = 1,
        traces: Path | None = TRACES,
        opened: bool = True,
        promises: bool = False,
    ) -> None:
        self.random = Random(seed)
        # Questions have dice of their own: a run is the same with and without them.
        self._curiosity = Random(f"questions of {seed}")
        # So has the chain that misses slots.
        self._chain = Random(f"blocks of {seed}")
        self.asked: Counter[int] = Counter()
        self.parameters = parameters or draw_parameters_of_run(self.random)
        self.both: ProtocolLockstep = deploy_lockstep(
            host,
            self.parameters,
            artifacts=artifacts,
            seed=seed,
            check_every=check_every,
            block=block,
            traces=traces,
            promises=promises,
        )
        deployment = plan_deployment(self.parameters)
        self.scene = GenerationContext(deployment, self.both.model.world, self.random)
        self.observer: StateObserver | None = None
        self.trial: FaultTrial | None = None
        self._target: SteeringTarget | None = None
        self._traders = TRADERS if self.parameters.margin is not None and seed % 2 else 1
        if opened:
            self.add_adversarial_contracts_and_funding()

    def add_adversarial_contracts_and_funding(self) -> None:
        """Deploy the adversarial test contracts and send the transactions that fund the accounts.

        Each FuzzRun begins with these steps. If model and chain differ here, the raised error holds the
        trace.
        """
        deployment = plan_deployment(self.parameters)
        for creation in iter_adversarial_contract_creations(deployment):
            self.both.add_contract(creation)
        for action in iter_funding_actions(deployment, self.random):
            outcome = self.both.apply(action)
            assert outcome.ok, f"the opening fails: {action} {outcome.reason!r}"
        self.both.opening = len(self.both.trace)

    def start_state_observer(self, targets: Sequence[SteeringTarget] = ()) -> StateObserver:
        """Start to record which state predicates hold, and return the observer.

        The run then prefers moves that lead to the first of `targets` that its deployment can reach.
        """
        self.observer = StateObserver(self.scene)
        _, self._target = find_first_reachable_target(
            targets, plan_deployment(self.parameters).contract_kinds.values()
        )
        return self.observer

    def play_random_steps(self, step_count: int) -> Iterator[RunStep]:
        """Play a number of random steps and yield each one. Moves are drawn by their weights.

        Raises at the first difference between model and chain, or at the first violated property.
        """
        has_adapter = any(facilitator.coin for facilitator in self.parameters.facilitators)
        moves = [
            move
            for move in MOVES.values()
            if not (move.of_own_types if has_adapter else move.of_adapters)
            and (self.parameters.has_discount or not move.of_discounts)
            and (self.parameters.has_stability_pool or not move.of_stability_pools)
        ]
        weights, whole = self._accumulate_move_weights(moves)
        done = 0
        for number in count():
            self.scene.late = done > step_count * LATE
            watched = self.observer if number % WATCH_EVERY == 0 else None
            if watched is not None:
                watched.update_predicates("")
                if self._target is not None:
                    weights, whole = self._accumulate_move_weights(moves)
            move = moves[bisect(weights, self.random.random() * whole)]
            for played in self.play_all_actions_of_move(move):
                yield played
                done += 1
                if done % ASK_EVERY == 0:
                    self.check_random_counterfactual_property()
                if done == step_count:
                    return
            if watched is not None:
                watched.update_predicates(move.name)

    def _accumulate_move_weights(self, moves: Sequence[ActionGenerator]) -> tuple[list[float], float]:
        """Return the cumulative weights of all moves except the last one, and the total weight."""
        weights = [self._compute_weight_favouring_trader_moves(move) for move in moves]
        if self._target is not None and self.observer is not None:
            names = [move.name for move in moves]
            return accumulate_steered_move_weights(self._target, self.observer.held, names, weights)
        *sums, whole = accumulate(weights)
        return sums, whole

    def _compute_weight_favouring_trader_moves(self, move: ActionGenerator) -> float:
        return move.weight * (self._traders if move.of_traders else 1)

    def check_random_counterfactual_property(self) -> None:
        """Check a random counterfactual property (effect of a call not made) in the present state.

        If the property applied to the state, count the check in `asked`.
        """
        number = self._curiosity.choice(list(COUNTERFACTUAL_PROPERTIES))
        if self.both.check_counterfactual_property(
            CounterfactualSeed(number, self._curiosity.randrange(2**32))
        ):
            self.asked[number] += 1

    def _advance_time(self, seconds: int) -> None:
        """Let time pass on model and chain [seconds], mostly with one block for each slot.

        At times the chain produces fewer blocks, none, or one more.
        """
        full = count_slots(self.both.timestamp, seconds, self.parameters.block_time)
        if not self.parameters.block_time or self._chain.random() < 0.6:
            self.both.advance(seconds, full)
            return
        self.both.advance(seconds, self._chain.choice((0, 0, self._chain.randint(0, full), full + 1)))

    def play_all_actions_of_move(self, move: ActionGenerator) -> Iterator[RunStep]:
        """Play all actions and waiting times of one move, and yield each action with its outcome.

        A share of the actions is made invalid on purpose. The move ends early if one of its reads of the
        model reverts.
        """
        scene, both = self.scene, self.both
        try:
            for what in move.play(scene):
                if isinstance(what, Wait):
                    self._advance_time(max(what.seconds, 0))
                    continue
                if scene.random.random() < SPOILED:
                    what = make_invalid(scene, what, both.chain)
                planted = self.trial.find_met_faults(what) if self.trial is not None else []
                outcome = both.apply(what)
                if self.observer is not None:
                    self.observer.note_writes(both.model.changes)
                if self.trial is not None and planted:
                    self.trial.record_detected_faults(planted, outcome, len(both.trace) - both.opening)
                yield RunStep(move.name, what, outcome)
        except NoSuchFunctionError:
            raise  # the move knows the model badly
        except RevertError:
            pass  # what a move asks the model may revert: then it gives up
