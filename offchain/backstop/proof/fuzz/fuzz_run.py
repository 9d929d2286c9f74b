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
    """Return the seed of one run of a campaign."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{index}".encode()).digest()[:8], "big")


def derive_policy_balanced_run_seed(campaign_seed: int, run_index: int) -> int:
    """Return the seed of a campaign's run: of ten in a row three have a margin market, one of each policy.

    Two of these three are mostly its traders', by turns. For any seed and any length of a campaign, no policy
    is left out by chance.
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
    """Return the seed of a steered run: the one of a few with the deployment that reaches the best target."""
    ranks = {}
    for attempt in range(DEPLOYMENTS):
        found = derive_run_seed(seed, index + (attempt << 64))
        kinds = plan_deployment(draw_parameters_of_run(Random(found))).contract_kinds.values()
        ranks[found], _ = find_first_reachable_target(targets, kinds)
        if not ranks[found]:
            break
    return min(ranks, key=ranks.__getitem__)


class RunStep(NamedTuple):
    """One step: its generator, its call, and the outcome."""

    move: str
    action: Action
    outcome: Outcome


class FuzzRun:
    """A lockstep deployment and the moves played on it. Equal seeds play alike, on every host."""

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
        """Prepare the deployment as every run does; a difference in it leaves the machine with its trace."""
        deployment = plan_deployment(self.parameters)
        for creation in iter_adversarial_contract_creations(deployment):
            self.both.add_contract(creation)
        for action in iter_funding_actions(deployment, self.random):
            outcome = self.both.apply(action)
            assert outcome.ok, f"the opening fails: {action} {outcome.reason!r}"
        self.both.opening = len(self.both.trace)

    def start_state_observer(self, targets: Sequence[SteeringTarget] = ()) -> StateObserver:
        """Watch which predicates of the state hold, and steer to the first target that there can be."""
        self.observer = StateObserver(self.scene)
        _, self._target = find_first_reachable_target(
            targets, plan_deployment(self.parameters).contract_kinds.values()
        )
        return self.observer

    def play_random_steps(self, step_count: int) -> Iterator[RunStep]:
        """Play so many steps, moves by their weights; raises at the first difference or violation."""
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
        """Return the sums of the moves' weights but for the last one, and the sum of all."""
        weights = [self._compute_weight_favouring_trader_moves(move) for move in moves]
        if self._target is not None and self.observer is not None:
            names = [move.name for move in moves]
            return accumulate_steered_move_weights(self._target, self.observer.held, names, weights)
        *sums, whole = accumulate(weights)
        return sums, whole

    def _compute_weight_favouring_trader_moves(self, move: ActionGenerator) -> float:
        return move.weight * (self._traders if move.of_traders else 1)

    def check_random_counterfactual_property(self) -> None:
        """Ask one counterfactual property about the present state; those that had an answer are counted."""
        number = self._curiosity.choice(list(COUNTERFACTUAL_PROPERTIES))
        if self.both.check_counterfactual_property(
            CounterfactualSeed(number, self._curiosity.randrange(2**32))
        ):
            self.asked[number] += 1

    def _advance_time(self, seconds: int) -> None:
        """Let time pass: mostly a block for each slot, at times fewer, none at all, or one more."""
        full = count_slots(self.both.timestamp, seconds, self.parameters.block_time)
        if not self.parameters.block_time or self._chain.random() < 0.6:
            self.both.advance(seconds, full)
            return
        self.both.advance(seconds, self._chain.choice((0, 0, self._chain.randint(0, full), full + 1)))

    def play_all_actions_of_move(self, move: ActionGenerator) -> Iterator[RunStep]:
        """Play all actions of one move; time passes in between."""
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
