"""The properties of facilitators' money: a bridge's draws and repayments, and when its losses count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from backstop.contract_base import ZERO_ADDRESS
from backstop.lockstep.step_transition import Changes, Transition
from backstop.model.arithmetic import RAY, WAD
from backstop.model.bridge_facilitator import BridgeFacilitator
from backstop.model.margin_fund import MarginFund
from backstop.proof.properties.property_registry import (
    PropertyViolationError,
    history_property,
    transition_property,
)

if TYPE_CHECKING:
    from backstop.hosts.model_system import ModelSystem

_MARKET, _FUND = "PerpetualMarket", "MarginFund"
_FOREVER = 2**32 - 1
_MONEY = ("draw", "repay", "recover", "redeem")


@history_property(64, writes=["announced", "lost"])
class FacilitatorLossIsAnnouncedBeforeBooking:
    """Checker that a bridge's loss is booked a full delay after its announcement (property 64).

    The delay counts from the last announcement by any sender. The lost amount is the sum of booked losses
    less the sum of recovered amounts.
    """

    def __init__(self, model: ModelSystem) -> None:
        self._announced: dict[str, int] = {}
        self._lost: dict[str, int] = {}
        for name, contract in model.world.contracts.items():
            if isinstance(contract, BridgeFacilitator):
                told = contract.tables["announced"][()]
                if told.amount:
                    self._announced[name] = told.ready_at - contract.delay
                self._lost[name] = contract.tables["lost"][()]

    def check_step(self, step: Transition, changes: Changes) -> None:
        """Record announcements, bookings and recoveries of losses from events, and check them.

        Raises PropertyViolationError if a loss is booked too early, or if the stored loss differs from the
        record.
        """
        if "announced" not in changes and "lost" not in changes:
            return
        now, contracts = step.model.timestamp, step.model.world.contracts
        for log in step.outcome.logs:
            name = log.contract
            if log.event == "LossRealised":
                at_once = _has_posted_loss(step)
                told = self._announced.get(name)
                if not at_once and (
                    told is None or now < told + cast(BridgeFacilitator, contracts[name]).delay
                ):
                    raise PropertyViolationError(
                        f"{name} booked a loss at {now} that was announced at {told}"
                    )
                self._lost[name] = self._lost.get(name, 0) + log.values[0]
            elif log.event == "LossAnnounced":
                self._announced.pop(name, None)
                if log.values[0]:
                    self._announced[name] = now
            elif log.event == "Recovered":
                self._lost[name] = self._lost.get(name, 0) - log.values[1]
        for name, _, _, lost in changes.get("lost", ()):
            if lost != self._lost[name]:
                raise PropertyViolationError(
                    f"{name} counts {lost} as lost, {self._lost[name]} were and are not recovered"
                )


@transition_property(
    65, calls=[f"*.{method}" for method in _MONEY], events=["*.Poked", f"{_FUND}.ShortfallPosted"]
)
def bridge_draws_stay_owed_until_repaid(step: Transition, changes: Changes) -> None:
    """Check that draws of a bridge stay owed until they are repaid and burned (property 65).

    A draw raises the debt, rounded up. A repayment is burned and lowers the debt. A recovered loss covers the
    type's deficit first, and the rest goes to the reserve. In settlement the holders of notes share the
    payments pro rata, rounded down. A note is worth one stablecoin less its part of an announced loss. Raises
    PropertyViolationError otherwise.
    """
    contract: Any = step.model.world.contracts.get(step.action.contract)
    if _has_posted_loss(step):
        contract = step.model.world.addresses[cast(MarginFund, step.get_contract(_FUND)).facilitator_address]
        _check_posted_shortfall_within_line(step, contract)
    elif contract is None or contract.KIND != "BridgeFacilitator":
        return
    elif step.action.method in _MONEY:
        _check_draw_repay_recover(step, contract)
    if any(log.event == "Poked" for log in step.outcome.logs):
        _check_note_price(step, contract)


def _check_draw_repay_recover(step: Transition, facilitator: Any) -> None:
    name, c, method = facilitator.label, facilitator.collateral_type, step.action.method
    rate = step.read_post_state("VaultEngine", "ledger.debts", c).accumulated_rate
    old, new = (
        read("VaultEngine", "vaults", (c, facilitator.address))
        for read in (step.read_pre_state, step.read_post_state)
    )
    more = new.normalized_debt - old.normalized_debt
    settling = bool(step.read_post_state("Settlement", "progress").begun_at)
    minted, burned = (
        _sum_transfers_by_counterparty(step, "Stablecoin", place, ZERO_ADDRESS) for place in (0, 1)
    )
    if method == "draw":
        amount, receiver = step.action.args
        owed = -(-new.normalized_debt * rate // RAY)
        notes = max(0, owed - old.locked_collateral)
        made = _sum_transfers_by_counterparty(step, name, 0, ZERO_ADDRESS)
        if minted != {receiver: amount} and amount:
            raise PropertyViolationError(f"{name} drew {amount} for {receiver}, and {minted} were created")
        if more != -(-amount * RAY // rate) or new.locked_collateral - old.locked_collateral != notes:
            raise PropertyViolationError(f"{name} drew {amount}: {old} became {new}")
        if sum(made.values()) != notes:
            raise PropertyViolationError(f"{name} made {made} of notes, not {notes}")
    elif method == "repay" and not settling:
        paid = min(step.action.args[0], -(-old.normalized_debt * rate // RAY))
        whole = paid * RAY >= old.normalized_debt * rate
        gone = old.normalized_debt if whole else paid * RAY // rate
        if step.outcome.value != paid or sum(burned.values()) != paid or more != -gone:
            raise PropertyViolationError(f"{name}: {paid} were paid, {burned} burned; {old} became {new}")
    elif method == "recover":
        lost = step.read_pre_state(name, "lost") - step.read_post_state(name, "lost")
        deficit = step.read_pre_state("VaultEngine", "ledger.deficit", c)
        covered = deficit - step.read_post_state("VaultEngine", "ledger.deficit", c)
        reserve = step.read_post_state("VaultEngine", "ledger.system").reserve
        reserve -= step.read_pre_state("VaultEngine", "ledger.system").reserve
        if sum(burned.values()) != lost or lost != min(
            step.action.args[0], step.read_pre_state(name, "lost")
        ):
            raise PropertyViolationError(f"{name}: {lost} were recovered, {burned} burned")
        if covered != min(deficit, lost * RAY) or reserve != lost * RAY - covered:
            raise PropertyViolationError(
                f"{name}: of {lost} recovered {covered} rad were covered, {reserve} kept"
            )
    elif method == "redeem":
        owner, given = step.action.sender, step.action.args[0]
        redeemed = step.read_pre_state(name, "redeemed_of", owner) + given
        out = step.read_post_state(name, "erc20.totalSupply") - new.locked_collateral
        due = redeemed * step.read_post_state(name, "paid") // out if out else 0
        found = (
            step.read_post_state(name, "redeemed_of", owner),
            step.read_post_state(name, "collected_of", owner),
        )
        if out and found != (redeemed, due):
            raise PropertyViolationError(
                f"{owner} gave {redeemed} of {out} notes of {name}: {found}, {due} are due"
            )


def _has_posted_loss(step: Transition) -> bool:
    """Return whether the margin market's fund posted a loss to its facilitator in this step."""
    return any((log.contract, log.event) == (_FUND, "ShortfallPosted") for log in step.outcome.logs)


def _check_posted_shortfall_within_line(step: Transition, facilitator: Any) -> None:
    """Check that a loss posted by the margin market fits the credit line and is drawn for it.

    Each posted amount is the loss that the fund did not absorb, or the free room of the line if that is less.
    Raises PropertyViolationError otherwise.
    """
    c, market = facilitator.collateral_type, step.get_contract(_MARKET)
    rate = step.read_post_state("VaultEngine", "ledger.debts", c).accumulated_rate
    owed = -(
        -step.read_pre_state("VaultEngine", "vaults", (c, facilitator.address)).normalized_debt * rate // RAY
    )
    line = step.read_post_state("VaultEngine", "terms.of_types", c).debt_ceiling * WAD
    room = max(0, line - owed - step.read_pre_state(facilitator.label, "lost"))
    posted = unpaid = 0
    for log in step.outcome.logs:
        # A call may book the losses of several, one after the other.
        if log.event == "LossAbsorbed":
            loss, *paid = log.values
            unpaid = loss - sum(paid)
        elif log.event == "ShortfallPosted":
            [amount] = log.values
            if amount != min(unpaid, room - posted):
                raise PropertyViolationError(
                    f"{amount} were posted of {unpaid}; there was room for {room - posted}"
                )
            posted += amount
    minted = _sum_transfers_by_counterparty(step, "Stablecoin", 0, ZERO_ADDRESS)
    if minted.get(market.address) != posted:
        raise PropertyViolationError(f"{posted} were posted; {minted} was created")
    if (
        step.read_post_state(facilitator.label, "lost") - step.read_pre_state(facilitator.label, "lost")
        != posted
    ):
        raise PropertyViolationError(f"{facilitator.label} does not count {posted} as lost")


def _check_note_price(step: Transition, facilitator: Any) -> None:
    c = facilitator.collateral_type
    vault = step.read_post_state("VaultEngine", "vaults", (c, facilitator.address))
    debt = vault.normalized_debt * step.read_post_state("VaultEngine", "ledger.debts", c).accumulated_rate
    lost, notes = step.read_post_state(facilitator.label, "announced").amount * RAY, vault.locked_collateral
    if not notes:
        price = RAY
    elif lost:
        price = max(1, max(0, debt - lost) // notes)
    else:
        price = max(RAY, -(-debt // notes))
    found = tuple(step.read_post_state("PriceFeed", "prices", c))
    if found != (price, price, _FOREVER):
        raise PropertyViolationError(f"{facilitator.label}: a note has the prices {found}, not {price}")


def _sum_transfers_by_counterparty(
    step: Transition, token: str, party_index: int, party: str
) -> dict[str, int]:
    """Return the sums of a token's transfers by counterparty of one party.

    With `party_index` 0 the party is the sender, with 1 the receiver.
    """
    found: dict[str, int] = {}
    for log in step.outcome.logs:
        if (log.contract, log.event) == (token, "Transfer") and log.values[party_index] == party:
            other = log.values[1 - party_index]
            found[other] = found.get(other, 0) + log.values[2]
    return found
