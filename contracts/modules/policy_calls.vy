# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title policy_calls
@license GNU Affero General Public License v3.0 only
@notice Asks a risk policy for functions that have to work without one: liquidation and repayment. Each
        question has gas of its own; an answer that does not come, or lies beyond its bounds, is replaced by
        the plain rule, which knows no add-on, no call and no other limits.
@dev With too little gas all reverts: a caller cannot choose the plain rule by little gas.
"""
from contracts.interfaces import IRiskPolicy
from contracts.modules import bounds
from contracts.modules import listed_types
from contracts.modules import revert_reason
from contracts.modules import units

EMERGENCY: constant(uint256) = 2
# No answer: beyond every bound.
NOTHING: constant(uint256) = max_value(uint256)
# As the loss waterfall has it: EIP-150 keeps a 63rd part back, and the call itself costs something.
LEAST_GAS: constant(uint256) = bounds.POLICY_GAS + bounds.POLICY_GAS // 63 + 10_000


@internal
@view
def _limits_factor(policy: address) -> uint256:
    """@dev [basis points] of the auction limits; all of them where the policy does not say."""
    factor: uint256 = self._ask_number(policy, method_id("auction_limit_factor()"))
    if factor < bounds.MIN_LIMITS_FACTOR or factor > bounds.MAX_LIMITS_FACTOR:
        return units.BASIS_POINTS
    return factor


@internal
@view
def _add_on(policy: address, collateral_type: uint256, debt: uint256) -> uint256:
    """@dev Basis points x rad that a debt needs beyond its ratio; none where the policy does not say."""
    asked: uint256 = self._ask_number(
        policy, abi_encode(collateral_type, debt, method_id=method_id("add_on(uint256,uint256)"))
    )
    # 181 + 14 bits.
    return asked if asked <= unsafe_mul(debt, bounds.MAX_ADD_ON) else 0


@internal
@view
def _ask_max_marginal_add_on(policy: address, collateral_type: uint256) -> uint256:
    """@dev [basis points] that an add-on grows by, at most; the highest bound where the policy does not say.
    """
    asked: uint256 = self._ask_number(
        policy, abi_encode(collateral_type, method_id=method_id("max_marginal_add_on(uint256)"))
    )
    return min(asked, bounds.MAX_ADD_ON)


@internal
@view
def _call_terms(policy: address, collateral_type: uint256, most: uint256) -> IRiskPolicy.CallTerms:
    """
    @dev When a type's vaults may be called, at no ratio above `most` ([basis points]): never where the policy
         does not say.
    """
    answer: Bytes[96] = self._answer_unless_failing(
        policy, abi_encode(collateral_type, method_id=method_id("call_terms(uint256)"))
    )
    if len(answer) != 96:
        return empty(IRiskPolicy.CallTerms)
    terms: IRiskPolicy.CallTerms = abi_decode(answer, IRiskPolicy.CallTerms)
    if not (self._is_call_time_in_bounds(terms.grace) and self._is_call_time_in_bounds(terms.valid)):
        return empty(IRiskPolicy.CallTerms)
    terms.ratio = min(terms.ratio, most)
    return terms


@internal
def _fee(
    policy: address, collateral_type: uint256, performing: uint256, performing_before: uint256
) -> uint256:
    """@dev [ray a second] that the policy asks for, unchecked; NOTHING where it does not say."""
    if msg.gas < LEAST_GAS:
        revert_reason._raise("policy_calls: no gas for a fee")
    success: bool = False
    answer: Bytes[32] = b""
    success, answer = raw_call(
        policy,
        abi_encode(
            collateral_type,
            performing,
            performing_before,
            method_id=method_id("reprice(uint256,uint256,uint256)"),
        ),
        max_outsize=32,
        gas=bounds.POLICY_GAS,
        revert_on_failure=False,
    )
    return convert(answer, uint256) if success and len(answer) == 32 else NOTHING


@internal
@view
def _mode(policy: address) -> uint256:
    """@dev [level] of the policy; NOTHING where it does not say."""
    return self._ask_number(policy, method_id("mode()"))


@internal
@view
def _is_policy(policy: address, engine: address, listed: uint256, mode: uint256) -> bool:
    """
    @dev Whether a contract is a policy of this engine, in the mode of the one before it, if that has one, and
         answers all questions about each type that is listed.
    """
    # An address: 160 bits.
    if self._ask_number(policy, method_id("VAULT_ENGINE()")) != convert(engine, uint256):
        return False
    factor: uint256 = self._ask_number(policy, method_id("auction_limit_factor()"))
    own: uint256 = self._mode(policy)
    proven: bool = (
        own <= EMERGENCY
        and (own == mode or mode > EMERGENCY)
        and factor >= bounds.MIN_LIMITS_FACTOR
        and factor <= bounds.MAX_LIMITS_FACTOR
    )
    types: DynArray[uint256, bounds.MAX_COLLATERAL_TYPES] = listed_types._ids(listed)
    for c: uint256 in types:
        add_on: uint256 = self._ask_number(
            policy, abi_encode(c, units.RAD, method_id=method_id("add_on(uint256,uint256)"))
        )
        fee: uint256 = self._ask_number(
            policy, abi_encode(c, units.RAD, method_id=method_id("fee_at(uint256,uint256)"))
        )
        steepest: uint256 = self._ask_number(
            policy, abi_encode(c, method_id=method_id("max_marginal_add_on(uint256)"))
        )
        calls: Bytes[96] = self._answer_unless_failing(
            policy, abi_encode(c, method_id=method_id("call_terms(uint256)"))
        )
        proven = (
            proven
            and add_on <= units.RAD * bounds.MAX_ADD_ON
            and fee <= bounds.MAX_POLICY_FEE
            and steepest <= bounds.MAX_ADD_ON
            and len(calls) == 96
        )
    return proven


# ------------------------------------------------------------------ helpers


@internal
@view
def _answer_unless_failing(policy: address, question: Bytes[68]) -> Bytes[96]:
    """@dev The answer of a policy, at most 96 bytes of it; nothing if the call fails."""
    self._check_gas()
    success: bool = False
    answer: Bytes[96] = b""
    success, answer = raw_call(
        policy,
        question,
        max_outsize=96,
        gas=bounds.POLICY_GAS,
        is_static_call=True,
        revert_on_failure=False,
    )
    return answer if success else b""


@internal
@view
def _ask_number(policy: address, question: Bytes[68]) -> uint256:
    """@dev The number that a policy answers, NOTHING if it is not one; as `_answer_unless_failing`."""
    self._check_gas()
    success: bool = False
    answer: Bytes[64] = b""
    success, answer = raw_call(
        policy,
        question,
        max_outsize=64,
        gas=bounds.POLICY_GAS,
        is_static_call=True,
        revert_on_failure=False,
    )
    if not success or len(answer) != 32:
        return NOTHING
    return convert(extract32(answer, 0), uint256)


@internal
@view
def _check_gas():
    if msg.gas < LEAST_GAS:
        revert_reason._raise("policy_calls: no gas to ask")


@internal
@pure
def _is_call_time_in_bounds(seconds: uint256) -> bool:
    """@dev Whether a grace or the time after it is within the bounds."""
    return seconds >= bounds.MIN_CALL_TIME and seconds <= bounds.MAX_CALL_TIME
