"""The property of marks, of one successful step: a loss that is not booked yet is what is missing."""

from __future__ import annotations

from backstop.proof.properties.figures.arithmetic import BASIS_POINTS, RAY
from backstop.proof.properties.figures.prices import fresh, time_weighted
from backstop.proof.properties.registry import Violation, transition_property
from backstop.proof.properties.transition import Changes, Transition

_WATERFALL, _AUCTION = "LossWaterfall", "CollateralAuction"
_NOBODY = "0x" + "00" * 20


@transition_property(40)
def a_mark_is_what_is_missing(step: Transition, changes: Changes) -> None:
    """Assert that a mark is a debt less what its collateral brings, at the higher of current and average.

    At a fresh price, in a hurry unless its issuer prices it; nothing where nothing is owed.
    """
    if step.action.contract != _WATERFALL:
        return
    for log in step.outcome.logs:
        if log.event == "VaultMarked":
            c, owner, mark = log.values
            vault = step.after("VaultEngine", "vaults", (c, owner))
            rate = step.after("VaultEngine", "ledger.debts", c).accumulated_rate
            what, debt = (c, owner), vault.normalized_debt * rate
            collateral, known = vault.locked_collateral, step.after(_WATERFALL, "marks.of_vaults", what)
        elif log.event == "AuctionMarked":
            what, c, mark = log.values
            collateral, debt = _on_sale(step, what)
            known = step.after(_WATERFALL, "marks.of_auctions", what).amount
            _check_its_vault(step, what, c)
        else:
            continue
        missing = _missing(step, c, collateral, debt)
        if not mark == known == missing:
            raise Violation(f"{what} is marked with {mark}, {known} are kept, {missing} are missing")


def _check_its_vault(step: Transition, id: int, c: int) -> None:
    """Assert that the vault that an auction came from is not marked for what the auction is marked for."""
    owner = step.after(_AUCTION, "owners", id).owner
    known = step.after(_WATERFALL, "marks.of_vaults", (c, owner))
    if known:
        vault = step.after("VaultEngine", "vaults", (c, owner))
        debt = vault.normalized_debt * step.after("VaultEngine", "ledger.debts", c).accumulated_rate
        missing = _missing(step, c, vault.locked_collateral, debt)
        if known != missing:
            raise Violation(f"vault {c, owner} is marked with {known} beside its auction, not {missing}")


def _on_sale(step: Transition, id: int) -> tuple[int, int]:
    """Return the lot [wad] and the principal [rad] of an auction or a workout."""
    lot, top = step.after(_AUCTION, "lots", id), step.after(_AUCTION, "tops", id)
    if lot.target:
        return lot.lot, max(0, lot.target * RAY - top.penalty * 10**12 * RAY - top.excess)
    if "Workouts" not in step.model.world.contracts:
        return 0, 0
    position = step.model.view("Workouts", "position_of", id)
    return position[2], position[3]


def _missing(step: Transition, c: int, collateral: int, debt: int) -> int:
    if not debt:
        return 0
    current = step.after("PriceFeed", "prices", c).current
    if not fresh(step, step.after, c) or not current:
        raise Violation(f"type {c} was marked without a fresh price")
    price = max(current, time_weighted(step, step.after, c))
    issued = step.after("PriceFeed", "issuer_of", c) != _NOBODY
    left = BASIS_POINTS - (0 if issued else step.after(_WATERFALL, "marks.discount"))
    return int(max(0, debt - collateral * price * left // BASIS_POINTS))
