# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title ScriptedPolicy
@license GNU Affero General Public License v3.0 only
@notice A risk policy with scripted answers, which may also fail, or use up all gas. For tests of contracts
        that depend on a policy.
"""
from contracts.interfaces import IRiskPolicy

implements: IRiskPolicy

VAULT_ENGINE: public(immutable(address))

# What it answers: ray a second, basis points, basis points.
fee: uint256
add_on_rate: uint256
factor: uint256
# Basis points, seconds, seconds.
call_ratio: uint256
call_grace: uint256
call_valid: uint256
# 0: it answers; 1: it reverts; 2: it uses up what gas it has.
failing: uint256


@deploy
def __init__(vault_engine: address):
    """
    @param vault_engine The engine that it is the policy of.
    """
    VAULT_ENGINE = vault_engine
    self.factor = 10_000


@external
def set_answer(fee: uint256, add_on_rate: uint256, factor: uint256, calls: IRiskPolicy.CallTerms):
    """
    @notice Set the answer from now on. Anyone.
    @param fee [ray a second] Of every type.
    @param add_on_rate [basis points] Of each debt, and its own steepest.
    @param factor [basis points] Of the auction limits.
    @param calls When vaults may be called.
    """
    self.fee = fee
    self.add_on_rate = add_on_rate
    self.factor = factor
    self.call_ratio = calls.ratio
    self.call_grace = calls.grace
    self.call_valid = calls.valid


@external
def fail(how: uint256):
    """
    @notice Set whether it fails from now on. Anyone.
    @param how [kind] 0 it answers, 1 it reverts, 2 it uses up its gas.
    """
    self.failing = how


@external
def check_new_risk(risk: IRiskPolicy.NewRisk) -> uint256:
    """
    @notice Let any risk pass. Anyone.
    @param risk Any; it makes no difference.
    @return [ray a second] The fee, as told.
    """
    self._fail()
    return self.fee


@external
def reprice(collateral_type: uint256, performing: uint256, performing_before: uint256) -> uint256:
    """
    @notice Say the fee. Anyone.
    @param collateral_type [id] Any; it makes no difference.
    @param performing [rad] The same.
    @param performing_before [rad] The same.
    @return [ray a second] The fee, as told.
    """
    self._fail()
    return self.fee


@external
def set_mode(new: uint256):
    """
    @notice Take on no mode. Anyone.
    @param new [level] Any; it makes no difference.
    """
    self._fail()


@external
@view
def add_on(collateral_type: uint256, debt: uint256) -> uint256:
    """
    @notice Say an add-on.
    @param collateral_type [id] Any; it makes no difference.
    @param debt [rad] The vault's.
    @return [basis points x rad] At the rate it was told.
    """
    self._fail()
    return unsafe_mul(debt, self.add_on_rate)


@external
@view
def max_marginal_add_on(collateral_type: uint256) -> uint256:
    """
    @notice Say how fast an add-on grows.
    @param collateral_type [id] Any; it makes no difference.
    @return [basis points] As told.
    """
    self._fail()
    return self.add_on_rate


@external
@view
def fee_at(collateral_type: uint256, performing: uint256) -> uint256:
    """
    @notice Say the fee.
    @param collateral_type [id] Any; it makes no difference.
    @param performing [rad] The same.
    @return [ray a second] The fee, as told.
    """
    self._fail()
    return self.fee


@external
@view
def call_terms(collateral_type: uint256) -> IRiskPolicy.CallTerms:
    """
    @notice Say when vaults may be called.
    @param collateral_type [id] Any; it makes no difference.
    @return The terms, as told.
    """
    self._fail()
    return IRiskPolicy.CallTerms(ratio=self.call_ratio, grace=self.call_grace, valid=self.call_valid)


@external
@view
def auction_limit_factor() -> uint256:
    """
    @notice Say how much of the auction limits holds.
    @return [basis points] As told.
    """
    self._fail()
    return self.factor


@external
@view
def mode() -> uint256:
    """
    @notice Say the mode.
    @return [level] Normal.
    """
    self._fail()
    return 0


@internal
@view
def _fail():
    assert self.failing != 1, "scripted_policy: as told"
    if self.failing == 2:
        word: bytes32 = empty(bytes32)
        for _: uint256 in range(10**9):
            word = keccak256(word)
