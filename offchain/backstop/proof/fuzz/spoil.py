"""Actions as a mistaken or hostile user would send them: one thing about them is wrong."""

from __future__ import annotations

from typing import Any

from backstop.hosts.abi_codec import Parameter
from backstop.hosts.chain_system import ChainSystem
from backstop.model.arithmetic import MAX_UINT256
from backstop.model.state import ZERO_ADDRESS
from backstop.proof.fuzz.scene import Scene
from backstop.system import Action

# A stage that lies about what it paid breaks the ledger by design.
_NEVER = {("ScriptedStage", "claim")}


def spoil(s: Scene, action: Action, chain: ChainSystem) -> Action:
    """Return the same call from somebody else, or with one argument replaced."""
    if (action.contract, action.method) in _NEVER:
        return action
    if not action.args or s.chance(0.25):
        return action._replace(sender=s.somebody())
    inputs = chain.get_function(action.contract, action.method, len(action.args)).inputs
    place = s.random.randrange(len(inputs))
    value = _other(s, inputs[place], action.args[place])
    return action._replace(args=(*action.args[:place], value, *action.args[place + 1 :]))


def _other(s: Scene, parameter: Parameter, value: Any) -> Any:
    type_ = parameter.type
    if type_.startswith("uint") and "[" not in type_:
        other = s.some((0, 1, value - 1, value + 1, 2 * value, value // 2, 2**128, MAX_UINT256))
        return min(max(other, 0), (1 << int(type_[4:])) - 1)
    if type_ == "address":
        return s.some((ZERO_ADDRESS, s.somebody(), s.engine.address, s.savings.address, s.auction.address))
    if type_ == "bool":
        return not value
    return value
