"""Actions as a mistaken or hostile user would send them: one thing about them is wrong."""

from __future__ import annotations

from typing import Any

from backstop.contract_base import ZERO_ADDRESS
from backstop.hosts.abi_codec import Parameter
from backstop.hosts.chain_system import ChainSystem
from backstop.model.arithmetic import MAX_UINT256
from backstop.proof.fuzz.generation_context import GenerationContext
from backstop.system import Action

# A stage that lies about what it paid breaks the ledger by design.
_NEVER = {("ScriptedStage", "claim")}


def make_invalid(context: GenerationContext, action: Action, chain: ChainSystem) -> Action:
    """Return the same call from another random sender, or with one random argument replaced.

    Calls that would break the ledger by design are returned unchanged.
    """
    if (action.contract, action.method) in _NEVER:
        return action
    if not action.args or context.draw_bool(0.25):
        return action._replace(sender=context.pick_account())
    inputs = chain.get_function(action.contract, action.method, len(action.args)).inputs
    place = context.random.randrange(len(inputs))
    value = _replace_value(context, inputs[place], action.args[place])
    return action._replace(args=(*action.args[:place], value, *action.args[place + 1 :]))


def _replace_value(context: GenerationContext, parameter: Parameter, value: Any) -> Any:
    type_ = parameter.type
    if type_.startswith("uint") and "[" not in type_:
        other = context.pick_item((0, 1, value - 1, value + 1, 2 * value, value // 2, 2**128, MAX_UINT256))
        return min(max(other, 0), (1 << int(type_[4:])) - 1)
    if type_ == "address":
        return context.pick_item(
            (
                ZERO_ADDRESS,
                context.pick_account(),
                context.engine.address,
                context.savings.address,
                context.auction.address,
            )
        )
    if type_ == "bool":
        return not value
    return value
