"""The property of other protocols' coins: one lies in the adapter for each stablecoin that others hold."""

from __future__ import annotations

from typing import Any

from backstop.model.arithmetic import RAY
from backstop.model.coin_adapter import CoinAdapter
from backstop.model.roles import MINTER
from backstop.proof.properties.property_registry import PropertyViolationError, transition_property
from backstop.proof.properties.step_transition import Changes, Transition

_FACILITATOR_METHODS = {
    "Deposited": ("draw",),
    "Withdrawn": ("repay", "recover"),
    "DeficitReported": ("announce_loss",),
    "DeficitWaived": ("draw", "recover"),
}
"""What an adapter calls at its facilitator in a call that ends with an event."""
_GIVES = "Withdrawn", "ProtocolPaid"
_SUPPLY = "erc20.totalSupply", "erc20.balanceOf", "balanceOf", "ledger.system", "ledger.income"


def list_facilitator_calls(step: Transition, facilitator: str) -> tuple[str, tuple[str, ...]]:
    """Return who calls a facilitator in a step, and which functions: its adapter, whoever called that."""
    address = step.get_contract(facilitator).address
    for log in step.outcome.logs:
        contract = step.model.world.contracts.get(log.contract)
        if isinstance(contract, CoinAdapter) and contract.facilitator_address == address:
            return contract.address, _FACILITATOR_METHODS.get(log.event, ())
    action = step.action
    return action.sender, (action.method,) if action.contract == facilitator else ()


@transition_property(226, writes=_SUPPLY)
def each_stablecoin_has_its_coin(step: Transition, changes: Changes) -> None:
    """Assert that whoever has stablecoin in a deployment that insures another protocol can have the coin.

    Coins leave an adapter to whoever brings as much stablecoin, and to the protocol, as far as nobody has
    stablecoin for them and the ledger keeps nothing for itself. So no loss of the protocol's is borne by
    anybody but members of pools and buyers of equity.
    """
    for adapter in step.model.world.contracts.values():
        if isinstance(adapter, CoinAdapter):
            _check_coins(step, changes, adapter)


def _check_coins(step: Transition, changes: Changes, adapter: CoinAdapter) -> None:
    coin, stable = (
        step.model.world.addresses[address].label
        for address in (adapter.coin_address, adapter.stablecoin_address)
    )

    facilitator = step.model.world.addresses[adapter.facilitator_address].label
    if not step.read_post_state(facilitator, "roles.access_control.hasRole", (MINTER, adapter.address)):
        return  # it is not in use
    if step.read_post_state("VaultEngine", "ledger.debts", adapter.collateral_type).accumulated_rate != RAY:
        return  # the admin charges a fee, and no coin comes in for that

    def read_coins_and_claims(read: Any) -> tuple[int, int]:
        """Return the coins that lie here and what is claimed of them [wad, rounded up]."""
        kept = read("VaultEngine", "ledger.system").reserve
        kept += read("VaultEngine", "ledger.income", adapter.collateral_type).buffer
        own = read(stable, "erc20.balanceOf", adapter.address)
        claimed = read(stable, "erc20.totalSupply") - own - (-kept // RAY)
        return read(coin, "balanceOf", adapter.address) * adapter.unit, claimed

    coins_before, claimed_before = read_coins_and_claims(step.read_pre_state)
    coins, claimed = read_coins_and_claims(step.read_post_state)
    if coins < claimed and coins - claimed < coins_before - claimed_before:
        raise PropertyViolationError(f"{adapter.label} holds {coins} for {claimed} stablecoin")
    if coins >= coins_before:
        return
    gives = any(log.contract == adapter.label and log.event in _GIVES for log in step.outcome.logs)
    if not gives:
        raise PropertyViolationError(f"{step.action.method} took {coins_before - coins} from {adapter.label}")
