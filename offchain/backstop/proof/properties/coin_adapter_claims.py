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
"""Methods that an adapter calls at its facilitator, by the event that ends the adapter's call."""
_GIVES = "Withdrawn", "ProtocolPaid"
_SUPPLY = "erc20.totalSupply", "erc20.balanceOf", "balanceOf", "ledger.system", "ledger.income"


def list_facilitator_calls(step: Transition, facilitator: str) -> tuple[str, tuple[str, ...]]:
    """Return the account that called a facilitator in this step, and the methods that it called.

    The caller is the coin adapter if one of its events appears in the step. Otherwise it is the sender of the
    step's action.
    """
    address = step.get_contract(facilitator).address
    for log in step.outcome.logs:
        contract = step.model.world.contracts.get(log.contract)
        if isinstance(contract, CoinAdapter) and contract.facilitator_address == address:
            return contract.address, _FACILITATOR_METHODS.get(log.event, ())
    action = step.action
    return action.sender, (action.method,) if action.contract == facilitator else ()


@transition_property(226, writes=_SUPPLY)
def each_stablecoin_has_its_coin(step: Transition, changes: Changes) -> None:
    """Check that the coin adapter holds one coin for each stablecoin in circulation (property 226).

    An adapter connects the insurance to another protocol: that protocol's coins are exchanged one to one for
    stablecoin. Coins leave the adapter only against the same amount of stablecoin, or to the other protocol.
    That protocol gets only coins that back no holder's stablecoin and no income on the ledger. Its losses so
    fall only on pool members and buyers of equity. Raises PropertyViolationError otherwise.
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
        """Return the adapter's coins [wad] and the stablecoin that they must back [wad, rounded up]."""
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
