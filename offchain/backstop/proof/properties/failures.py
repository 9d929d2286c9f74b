"""What a stage owes that failed, of one successful step: no more than others paid in its place."""

from __future__ import annotations

from collections import defaultdict

from backstop.proof.properties.figures.arithmetic import RAY
from backstop.proof.properties.registry import Violation, transition_property
from backstop.proof.properties.stages import capacity
from backstop.proof.properties.transition import Changes, Transition

_WATERFALL = "LossWaterfall"


@transition_property(80, writes=["missed"])
def what_is_missed_others_paid(step: Transition, changes: Changes) -> None:
    """Assert that a stage comes to owe only what later stages pay, and ceases to by paying the reserve.

    In a cover it has failed, and has members. No payment is owed by two. One that is empty owes nothing.
    """
    if "missed" not in changes:
        return
    lineup = step.after(_WATERFALL, "lineup")
    grown: dict[int, int] = defaultdict(int)
    for _, (k, c), old, new in changes["missed"]:
        if new > old:
            grown[c] += new - old
            _check_failed(step, k, c)
        else:
            _check_paid(step, k, c, old - new)
    for c, amount in grown.items():
        paid = [
            log.values[2:] for log in step.outcome.logs if log.event == "LossCovered" and log.values[0] == c
        ]
        first = min(
            lineup.ids.index(k) for _, (k, of), old, new in changes["missed"] if of == c and new > old
        )
        behind = sum(part for k, part in paid if lineup.ids.index(k) > first)
        if amount > behind:
            raise Violation(f"stages owe {amount} of type {c} for {behind} that others paid")
    for k in range(lineup.known):
        types = range(step.after("VaultEngine", "terms.collateral_types"))
        owed = sum(step.after(_WATERFALL, "missed", (k, c)) for c in types)
        if owed != step.after(_WATERFALL, "owed", k):
            raise Violation(f"stage {k} owes {owed}, and counts otherwise")
        if bool(owed) != bool(lineup.owing >> k & 1):
            raise Violation(f"stage {k} is marked as one that owes, or not, and it is the other way round")


def _check_failed(step: Transition, k: int, c: int) -> None:
    if not step.after(_WATERFALL, "stages", k).owes:
        raise Violation(f"stage {k} has no members, and owes")
    failed = [log.values[2] for log in step.outcome.logs if log.event == "StageFailed" and log.values[0] == c]
    if step.calls(_WATERFALL, "cover") and k not in failed:
        raise Violation(f"stage {k} owes for type {c}, and has not failed")
    # What equity still raises of a reservation from before is noted, and ends with the rest of what is owed.
    if step.calls(_WATERFALL, "cover") and step.before(_WATERFALL, "books").settlement:
        raise Violation(f"stage {k} comes to owe in settlement")


def _check_paid(step: Transition, k: int, c: int, less: int) -> None:
    if not step.calls(_WATERFALL, "make_good") or step.before(_WATERFALL, "books").open:
        raise Violation(f"{step.action.method} lowers what stage {k} owes by {less}, or while a loss is open")
    reserve = [read("VaultEngine", "ledger.system").reserve for read in (step.before, step.after)]
    paid = reserve[1] - reserve[0]
    if paid < less and capacity(step, k, c) - paid >= RAY:
        raise Violation(f"stage {k} owes {less} less, has paid {paid} and is not empty")
