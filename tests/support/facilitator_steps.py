"""A facilitator in the tests: its deployment, and actions of a bridge, its guardian and payers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from backstop.deployment.example_parameters import build_standard_parameters
from backstop.deployment.parameter_dataclasses import FacilitatorParameters, Parameters
from backstop.model.arithmetic import MAX_UINT256
from backstop.proof.local_protocol import LocalProtocol

# The type of the facilitator `Rollup`, after WETH, WBTC and XAU.
ROLLUP = 3
DAY = 86_400
LINE = 1_000_000
FACILITATOR = FacilitatorParameters("Rollup", LINE, DAY)
OTHER = FacilitatorParameters("Sidechain", 50_000, 3_600, minter="other_bridge")


def with_facilitators(parameters: Parameters | None = None) -> Parameters:
    """The standard deployment, or another one, with two facilitators; `Sidechain` is type 4."""
    return replace(parameters or build_standard_parameters(), facilitators=(FACILITATOR, OTHER))


def deploy_protocol_with_facilitators(
    new_protocol: Callable[..., LocalProtocol], parameters: Parameters | None = None
) -> LocalProtocol:
    """A protocol with facilitators and the usual prices."""
    return new_protocol(with_facilitators(parameters), prices=True)


def draw_stablecoin_as_bridge(protocol: LocalProtocol, amount: int, receiver: str = "receiver") -> None:
    """Draw as the bridge [wad]."""
    protocol.do("Rollup.draw", amount, receiver, sender="bridge")


def pay_facilitator(
    protocol: LocalProtocol, amount: int, method: str = "repay", who: str = "receiver"
) -> int:
    """Pay the facilitator from an account's balance [wad]; return the taken amount."""
    protocol.do("Stablecoin.approve", "Rollup", MAX_UINT256, sender=who)
    return int(protocol.do(f"Rollup.{method}", amount, sender=who))


def announce_loss(protocol: LocalProtocol, amount: int, sender: str = "admin") -> None:
    """A loss, wad."""
    protocol.do("Rollup.announce_loss", amount, sender=sender)


def announce_and_realise_bridge_loss(protocol: LocalProtocol, amount: int) -> int:
    """Announce a loss, wait, and realise it; return the loss."""
    announce_loss(protocol, amount)
    protocol.advance(FACILITATOR.delay)
    return int(protocol.do("Rollup.realise_loss", sender="stranger"))


def read_bridge_debt(protocol: LocalProtocol) -> int:
    """Return the bridge's debt [rad]."""
    vault = protocol.read("VaultEngine.vault", ROLLUP, "Rollup")
    return int(vault.normalized_debt * protocol.read("VaultEngine.debts_of", ROLLUP).accumulated_rate)


def read_notes_in_facilitator_vault(protocol: LocalProtocol) -> int:
    """Notes in its vault, wad."""
    return int(protocol.read("VaultEngine.vault", ROLLUP, "Rollup").locked_collateral)


def read_bridge_debt_at_risk(protocol: LocalProtocol) -> int:
    """Return the part of its debt that is in doubt [rad]."""
    return int(protocol.read("LiquidationEngine.debt_at_risk_of", ROLLUP))


def read_facilitator_deficit(protocol: LocalProtocol) -> int:
    """Return the deficit of the facilitator's type [rad]."""
    return int(protocol.read("VaultEngine.deficit_of", ROLLUP))
