"""Properties of the proceeds of liquidations: the remainder of a lot, and the liquidator's reward."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.contract_base import ZERO_ADDRESS
from backstop.lockstep.step_transition import Changes, Transition
from backstop.proof.properties.independent_arithmetic.property_arithmetic import BASIS_POINTS, RAY
from backstop.proof.properties.property_registry import (
    PropertyViolationError,
    history_property,
    transition_property,
)

if TYPE_CHECKING:
    from backstop.hosts.model_system import ModelSystem

_AUCTION, _WORKOUTS, _ENGINE = "CollateralAuction", "Workouts", "VaultEngine"
_WAD, _MICRO = 10**18, 10**12
_MOST_PENALTY = (2**48 - 1) * _MICRO
_BEGINS = {("LiquidationEngine", "Liquidated"), (_WORKOUTS, "Entered")}
# Where the id, the type and the owner stand, and what goes back to the owner.
_ENDS = {(_AUCTION, "AuctionEnded"), (_AUCTION, "AuctionUnwound"), (_WORKOUTS, "Completed")}


@history_property(182, events=[f"{contract}.{event}" for contract, event in sorted(_BEGINS | _ENDS)])
class LotRemainderReturnsToVault:
    """Checker that unsold collateral returns to the vault that it came from (property 182).

    It concerns the end of each auction and each workout (repayment of a called vault in instalments). The
    remainder of a sale of salvage becomes salvage again, which belongs to the protocol. So does the lot of an
    unwound auction if the vault cannot store it.
    """

    def __init__(self, model: ModelSystem) -> None:
        # Id of an auction or a workout -> the owner whose vault was liquidated or entered.
        contracts = model.world.contracts
        self._owners: dict[int, str] = {
            auction_id: each.owner
            for auction_id, each in contracts[_AUCTION].tables["owners"].items()
            if each.owner
        }
        if _WORKOUTS in contracts:
            schedules = contracts[_WORKOUTS].tables["schedules"]
            self._owners |= {workout_id: each.owner for workout_id, each in schedules.items() if each.owner}

    def check_step(self, step: Transition, changes: Changes) -> None:
        """Record the owner of each started auction and workout, and check the vault when it ends.

        Raises PropertyViolationError if the returned amount differs from the unsold lot.
        """
        for log in step.outcome.logs:
            if (log.contract, log.event) in _BEGINS:
                self._owners[log.values[0]] = log.values[2]
        for log in step.outcome.logs:
            if (log.contract, log.event) in _ENDS:
                workout_id, c, named, returned = log.values[:4]
                self._check_returned_lot(step, workout_id, c, self._owners.get(workout_id, named), returned)

    def _check_returned_lot(
        self, step: Transition, auction_id: int, collateral_type: int, owner: str, returned: int
    ) -> None:
        vault = collateral_type, owner
        told = [log.values[:2] for log in step.outcome.logs if log.event == "VaultChanged"]
        if told.count(vault) > 1:
            return  # the owner has moved collateral in the same call
        old, new = (read(_ENGINE, "vaults", vault) for read in (step.read_pre_state, step.read_post_state))
        gained = new.locked_collateral - old.locked_collateral
        salvaged = step.read_post_state(_ENGINE, "ledger.salvage", collateral_type) - step.read_pre_state(
            _ENGINE, "ledger.salvage", collateral_type
        )
        is_full = step.action.method == "unwind" and old.locked_collateral + returned >= 2**104
        if owner == ZERO_ADDRESS or is_full:
            gained, salvaged = salvaged, gained
        left = _read_unsold_lot(step, auction_id)
        if (gained, salvaged) != (returned, 0) or returned != left:
            raise PropertyViolationError(
                f"{left} are left of the lot of {auction_id}, {returned} are returned: the vault of {owner} "
                f"gained {gained}, salvage {salvaged}"
            )


def _read_unsold_lot(step: Transition, auction_id: int) -> int:
    """Return the part of an auction's or a workout's lot that this step left unsold [wad]."""
    sold = sum(
        log.values[2]
        for log in step.outcome.logs
        if (log.contract, log.event) == (_AUCTION, "Taken") and log.values[0] == auction_id
    )
    lot = step.read_pre_state(_AUCTION, "lots", auction_id).lot
    if _WORKOUTS in step.model.world.contracts:
        lot += step.read_pre_state(_WORKOUTS, "balances", auction_id).lot
    return int(lot - sold)


@transition_property(183, calls=["LiquidationEngine.liquidate", "Workouts.foreclose"])
def liquidation_reward_stays_within_penalty(step: Transition, changes: Changes) -> None:
    """Check that a liquidation pays tip and chip, capped at the penalty (property 183).

    The rest of the penalty is the budget for rewards of resets. So owners that liquidate their own vaults pay
    for their own rewards. The stablecoin supply grows by the reward. Raises PropertyViolationError otherwise.
    """
    is_liquidation = step.is_call("LiquidationEngine", "liquidate")
    if not is_liquidation and not step.is_call(_WORKOUTS, "foreclose"):
        return
    ((auction_id, c, target, principal),) = [
        (log.values[0], log.values[1], log.values[5], log.values[6])
        for log in step.outcome.logs
        if (log.contract, log.event) == (_AUCTION, "AuctionStarted")
    ]
    terms = step.read_pre_state(_AUCTION, "terms", c)
    penalty = principal * (terms.penalty - BASIS_POINTS) // (BASIS_POINTS * RAY * _MICRO) * _MICRO
    penalty = min(penalty, _MOST_PENALTY)
    reward = min(penalty, terms.tip * _WAD + terms.chip * (target // RAY) // BASIS_POINTS)
    minted = sum(each.new - each.old for each in changes.get("erc20.totalSupply", ()))
    budget = step.read_post_state(_AUCTION, "owners", auction_id).reward_budget
    if (minted, budget) != (reward, penalty - reward):
        raise PropertyViolationError(
            f"auction {auction_id}: {minted} are paid and {budget} kept, of a penalty of {penalty}"
        )
