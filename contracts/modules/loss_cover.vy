# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title loss_cover
@license GNU Affero General Public License v3.0 only
@notice How losses are paid for: stages cover deficits from buffers, the reserve, stablecoin, or the type's
        own borrowers; the treasury spends the excess of the reserve.
"""
from contracts.interfaces import IVaultEngine
from contracts.modules import ledger
from contracts.modules import revert_reason
from contracts.modules import roles
from contracts.modules import terms
from contracts.modules import units

uses: ledger
uses: roles
uses: terms

# Spends the reserve, in the order of income.
TREASURY: public(immutable(address))


@deploy
def __init__(treasury: address):
    """
    @param treasury Spends the reserve.
    """
    TREASURY = treasury


@external
@nonreentrant
def cover_from_buffer(collateral_type: uint256, amount: uint256):
    """
    @notice Cover a deficit from the type's buffer, exactly. Stages only.
    @param collateral_type [id] The collateral type.
    @param amount [rad] At most the buffer and the deficit.
    """
    self._only_stage()
    ledger._subtract_from_buffer(collateral_type, amount)
    ledger._post_cover(collateral_type, amount)


@external
@nonreentrant
def cover_from_reserve(collateral_type: uint256, amount: uint256):
    """
    @notice Cover a deficit from the reserve, exactly. Stages only.
    @param collateral_type [id] The collateral type.
    @param amount [rad] At most the reserve and the deficit.
    """
    self._only_stage()
    ledger._post_from_reserve(amount)
    ledger._post_cover(collateral_type, amount)


@external
@nonreentrant
def cover_from_tokens(collateral_type: uint256, payer: address, amount: uint256) -> uint256:
    """
    @notice Cover a deficit by burning stablecoin: a stage's own, or that of a payer with an allowance. Stages
            only.
    @param collateral_type [id] The collateral type.
    @param payer Owner of the stablecoin; if it is not the stage, the stage needs an allowance.
    @param amount [rad] The burned amount is rounded up to the wei.
    @return [rad] Covered: the amount, or the deficit if that is less. The rest of the burned amount goes to
            the reserve.
    """
    self._only_stage()
    return self._cover_from_tokens(collateral_type, payer, msg.sender, amount)


@external
@nonreentrant
def cover_from_buyer(collateral_type: uint256, payer: address, stage: address, amount: uint256) -> uint256:
    """
    @notice Cover as `cover_from_tokens` does, for a stage that has reserved its payment. Loss waterfall only,
            which names its own caller.
    @param collateral_type [id] The collateral type.
    @param payer Owner of the stablecoin; if it is not the stage, the stage needs an allowance.
    @param stage The stage that the payer allows to spend.
    @param amount [rad] The burned amount is rounded up to the wei.
    @return [rad] Covered: the amount, or the deficit if that is less. The rest of the burned amount goes to
            the reserve.
    """
    if msg.sender != ledger.LOSS_WATERFALL.address:
        revert_reason._raise("loss_cover: only waterfall")
    return self._cover_from_tokens(collateral_type, payer, stage, amount)


@external
@nonreentrant
def cover_by_redistribution(collateral_type: uint256, amount: uint256) -> uint256:
    """
    @notice Cover a deficit from the type's own borrowers: all debts grow alike, by the accumulated rate.
            Stages only, not in settlement. Protects: growth is capped for each epoch, and stays in the gap
            between the ratios.
    @param collateral_type [id] The collateral type.
    @param amount [rad] At most the deficit.
    @return [rad] Covered: the amount rounded down to a whole share for each unit of debt, as far as there is
            room.
    """
    self._only_stage()
    type_terms: IVaultEngine.Terms = terms._load_terms(collateral_type)
    ledger._check_not(type_terms.settling)
    more: uint256 = terms._get_steepest(collateral_type)
    return ledger._post_redistribution(
        collateral_type,
        amount,
        unsafe_add(type_terms.initial_ratio, more),
        unsafe_add(type_terms.liquidation_ratio, more),
    )


@external
@nonreentrant
def give_to_reserve(amount: uint256):
    """
    @notice Burn a stage's own stablecoin for the reserve: the remainder of a pool after its members have lost
            all. Stages only.
    @param amount [wad] Burned.
    """
    self._only_stage()
    ledger._add_to_reserve(amount * units.RAY)
    ledger._burn_stablecoin(msg.sender, amount)


@external
@nonreentrant
def spend_reserve(amount: uint256, receiver: address):
    """
    @notice Pay out of the reserve. Treasury only, not in settlement.
    @param amount [wad] Stablecoin, at most the reserve.
    @param receiver Receiver of the stablecoin.
    """
    if msg.sender != TREASURY:
        revert_reason._raise("loss_cover: only treasury")
    ledger._check_live()
    ledger._pay_receiver_from_reserve(receiver, amount)


# -------------------------------------------------------------------- views


@external
@view
@nonreentrant
def deficit_when_idle(collateral_type: uint256) -> uint256:
    """
    @notice A type's recognised and uncovered loss. Reverts while the ledger is in the middle of something: a
            token or a policy that is called then finds no stage that fails only because the ledger is
            locked.
    @param collateral_type [id] The collateral type.
    @return [rad] The deficit.
    """
    return ledger.deficit[collateral_type]


@external
@view
def redistribution_room(collateral_type: uint256) -> uint256:
    """
    @notice Return the amount that a type's borrowers can still bear in this epoch, at the rate of the last
            accrual; nothing in settlement.
    @param collateral_type [id] The collateral type.
    @return [rad] Rounded down.
    """
    debts: IVaultEngine.Debts = ledger._load_debts(collateral_type)
    type_terms: IVaultEngine.Terms = terms._load_terms(collateral_type)
    if debts.normalized_debt == 0 or type_terms.settling:
        return 0
    more: uint256 = terms._get_steepest(collateral_type)
    return unsafe_mul(
        debts.normalized_debt,
        ledger._compute_max_redistribution_rate_rise(
            debts,
            ledger._compute_current_redistribution(collateral_type),
            unsafe_add(type_terms.initial_ratio, more),
            unsafe_add(type_terms.liquidation_ratio, more),
        ),
    )


# ------------------------------------------------------------------ helpers


@internal
@view
def _only_stage():
    roles._check_role(roles.STAGE)


@internal
def _cover_from_tokens(collateral_type: uint256, payer: address, stage: address, amount: uint256) -> uint256:
    burned: uint256 = units._div_up(amount, units.RAY)
    covered: uint256 = min(ledger.deficit[collateral_type], amount)
    ledger._post_cover(collateral_type, covered)
    ledger._add_to_reserve(burned * units.RAY - covered)
    if payer == stage:
        ledger._burn_stablecoin(payer, burned)
    else:
        extcall ledger.STABLECOIN.burn_allowed(payer, stage, burned, skip_contract_check=True)
    return covered
