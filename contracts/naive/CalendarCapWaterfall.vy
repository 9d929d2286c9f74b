# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title CalendarCapWaterfall
@license GNU Affero General Public License v3.0 only
@notice A loss waterfall with caps that count by the calendar: a stage's payments in an epoch are forgotten
        when the next one begins. So a loss that is covered in two parts, a minute before the edge and a
        minute after, meets every cap twice. It is what `LossWaterfall` is compared with; no deployment should
        have it.
@dev All but `cover` is that contract's. Its record of payments has a bucket of time and the one before; here
     a payment goes to the one before, which is dropped at the edge. Stages that need time are passed over,
     and the shortfall of a stage while it fails is not noted.
"""
from contracts import LossWaterfall
from contracts.interfaces import ILossWaterfall
from contracts.modules import bounds
from contracts.modules import units

implements: ILossWaterfall

initializes: LossWaterfall

exports: (
    LossWaterfall.admin,
    LossWaterfall.pending_admin,
    LossWaterfall.transfer_admin,
    LossWaterfall.accept_admin,
    LossWaterfall.grant_role,
    LossWaterfall.revoke_role,
    LossWaterfall.has_role,
    LossWaterfall.VAULT_ENGINE,
    LossWaterfall.LIQUIDATION_ENGINE,
    LossWaterfall.EPOCH_LENGTH,
    LossWaterfall.CAP_DELAY,
    LossWaterfall.order_hash,
    LossWaterfall.proposed_hash,
    LossWaterfall.stages_ready_at,
    LossWaterfall.covered,
    LossWaterfall.missed,
    LossWaterfall.set_stages,
    LossWaterfall.propose_stages,
    LossWaterfall.apply_stages,
    LossWaterfall.recognise,
    LossWaterfall.retire,
    LossWaterfall.wind_up,
    LossWaterfall.close_books,
    LossWaterfall.book_payment,
    LossWaterfall.repay_missed_share,
    LossWaterfall.release,
    LossWaterfall.force_release,
    LossWaterfall.losses_reaching,
    LossWaterfall.losses_at_payment,
    LossWaterfall.debt_at_risk_at_payment,
    LossWaterfall.pending_total,
    LossWaterfall.debt_at_risk_total,
    LossWaterfall.outstanding,
    LossWaterfall.reserved_of,
    LossWaterfall.reserved,
    LossWaterfall.last_epoch,
    LossWaterfall.event_of,
    LossWaterfall.stage_count,
    LossWaterfall.stage_ids,
    LossWaterfall.stage_terms,
)


@deploy
def __init__(
    vault_engine: address,
    liquidation_engine: address,
    admin: address,
    epoch_length: uint256,
    cap_delay: uint256,
):
    """
    @param vault_engine The ledger: the only one that recognises losses.
    @param liquidation_engine Reads which debt is at risk.
    @param admin Sets the stages, once, and proposes caps.
    @param epoch_length [seconds] All losses of a type in one epoch are one event, and meet the caps once.
    @param cap_delay [seconds] From the proposal of new caps to their use.
    """
    LossWaterfall.__init__(vault_engine, liquidation_engine, admin, epoch_length, cap_delay)


@external
@nonreentrant
def cover(collateral_type: uint256) -> uint256:
    """
    @notice Have a type's deficit covered by the stages, first to last, without the stages that need time.
            Permissionless. Protects: the order of losses; not the caps, since the caller chooses the moment.
    @param collateral_type [id] The type with the deficit.
    @return [rad] Covered; zero if no stage can pay.
    """
    due: uint256 = staticcall LossWaterfall.VAULT_ENGINE.deficit_when_idle(collateral_type)
    unresolved: bool = (LossWaterfall.books >> collateral_type) & 1 == 1
    assert due != 0 or unresolved, "loss_waterfall: no deficit"
    loss: LossWaterfall.Loss = LossWaterfall._carry_unresolved_loss_into_epoch(
        collateral_type, LossWaterfall._note_recovery(collateral_type, due)
    )
    epoch: uint256 = loss.epoch
    settling: bool = LossWaterfall.books >= LossWaterfall.SETTLING
    total: uint256 = 0
    order: uint256 = LossWaterfall.lineup >> LossWaterfall.ORDER
    for _: uint256 in range(LossWaterfall.lineup & 255, bound=bounds.MAX_STAGES):
        if due == 0:
            break
        k: uint256 = order & 15
        order >>= 4
        slot: LossWaterfall.Slot = LossWaterfall._load_stage(k)
        if slot.asynchronous:
            continue
        works: bool = False
        amount: uint256 = 0
        works, amount = LossWaterfall._read_stage_answer_and_capacity(slot.stage, collateral_type)
        amount = min(due, LossWaterfall._compute_room(collateral_type, k, slot, amount, 0, settling))
        paid: uint256 = 0
        kept: uint256 = 0
        if amount != 0:
            works, paid, kept = LossWaterfall._absorb_and_verify_loss_payment(slot, collateral_type, amount)
        if not works:
            log LossWaterfall.StageFailed(collateral_type=collateral_type, epoch=epoch, stage=k)
        if paid != 0:
            LossWaterfall._book_payment(collateral_type, LossWaterfall._load_loss(collateral_type), k, paid)
            if LossWaterfall._is_capped(slot):
                self._count_payment(collateral_type, k, slot, paid)
        due -= min(due, paid)
        total += paid
    return total


@internal
def _count_payment(collateral_type: uint256, k: uint256, slot: LossWaterfall.Slot, amount: uint256):
    """
    @dev Count a payment of a stage with a cap in this epoch, rounded up to the wei, where the next one drops
         it.
    """
    of: uint256 = LossWaterfall.ALL_TYPES if slot.pooled else collateral_type
    used: LossWaterfall.CapUsage = LossWaterfall._load_used(k, of)
    used.before += units._div_up(amount, units.RAY)
    LossWaterfall.used[k][of] = used.bucket | (used.before << 144)
