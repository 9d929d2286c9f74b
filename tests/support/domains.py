"""A domain in the tests: what it is deployed with, and what a bridge, its guardian and payers do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from backstop.deployment.examples import standard
from backstop.deployment.parameters import DomainParameters, Parameters
from backstop.model.arithmetic import MAX_UINT256
from tests.support.protocol import Protocol

# The type of the domain `Rollup`, after WETH, WBTC and XAU.
ROLLUP = 3
DAY = 86_400
LINE = 1_000_000
DOMAIN = DomainParameters("Rollup", LINE, DAY)
OTHER = DomainParameters("Sidechain", 50_000, 3_600, minter="other_bridge")


def with_domains(parameters: Parameters | None = None) -> Parameters:
    """The standard deployment, or another one, with two domains; `Sidechain` is type 4."""
    return replace(parameters or standard(), domains=(DOMAIN, OTHER))


def opened(new_protocol: Callable[..., Protocol], parameters: Parameters | None = None) -> Protocol:
    """A protocol with domains and the usual prices."""
    return new_protocol(with_domains(parameters), prices=True)


def draw(protocol: Protocol, amount: int, receiver: str = "receiver") -> None:
    """As the bridge, wad."""
    protocol.do("Rollup.draw", amount, receiver, sender="bridge")


def pay(protocol: Protocol, amount: int, method: str = "repay", who: str = "receiver") -> int:
    """Pay the domain with what somebody holds, wad; what was taken."""
    protocol.do("Stablecoin.approve", "Rollup", MAX_UINT256, sender=who)
    return int(protocol.do(f"Rollup.{method}", amount, sender=who))


def announce(protocol: Protocol, amount: int, sender: str = "admin") -> None:
    """A loss, wad."""
    protocol.do("Rollup.announce_loss", amount, sender=sender)


def lose(protocol: Protocol, amount: int) -> int:
    """Announce a loss, wait, and realise it; what was lost."""
    announce(protocol, amount)
    protocol.advance(DOMAIN.delay)
    return int(protocol.do("Rollup.realise_loss", sender="stranger"))


def debt(protocol: Protocol) -> int:
    """What the bridge owes: rad."""
    vault = protocol.read("VaultEngine.vault", ROLLUP, "Rollup")
    return int(vault.normalized_debt * protocol.read("VaultEngine.debts_of", ROLLUP).accumulated_rate)


def locked(protocol: Protocol) -> int:
    """Notes in its vault, wad."""
    return int(protocol.read("VaultEngine.vault", ROLLUP, "Rollup").locked_collateral)


def doubt(protocol: Protocol) -> int:
    """What of its debt is in doubt, rad."""
    return int(protocol.read("LiquidationEngine.doubt_of", ROLLUP))


def deficit(protocol: Protocol) -> int:
    """Of its type, rad."""
    return int(protocol.read("VaultEngine.deficit_of", ROLLUP))
