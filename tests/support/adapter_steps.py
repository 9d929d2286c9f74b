"""A protocol that exists already in the tests: its coin, its adapter, its actions and its holders'."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from backstop.deployment.example_parameters import build_standard_parameters
from backstop.deployment.parameter_dataclasses import FacilitatorParameters, Parameters
from backstop.model.arithmetic import MAX_UINT256, RAY
from backstop.model.roles import MINTER
from backstop.proof.local_protocol import LocalProtocol

ADAPTER = "Lender.Adapter"
DELAY = 86_400
LINE = 1_000_000
USD = 10**6
"""Raw units of the coin, which has six decimals."""
UNIT = 10**12
"""Stablecoin of one of them [wad]."""
LENDER = FacilitatorParameters("Lender", LINE, DELAY, minter="lender", coin="USDX", coin_decimals=6)


def with_adapter(parameters: Parameters | None = None) -> Parameters:
    """The standard deployment without collateral types of its own, for the coin USDX of another protocol."""
    return replace(parameters or build_standard_parameters(), collateral_types=(), facilitators=(LENDER,))


def deploy_protocol_with_adapter(new_protocol: Callable[..., LocalProtocol]) -> LocalProtocol:
    """A protocol that insures another one."""
    return new_protocol(with_adapter())


def deposit_coins(protocol: LocalProtocol, amount: int, who: str = "holder") -> None:
    """Get coins from the faucet, and bring them in [units of the coin]."""
    protocol.do("USDX.mint", who, amount, sender="stranger")
    protocol.do("USDX.approve", ADAPTER, MAX_UINT256, sender=who)
    protocol.do(f"{ADAPTER}.deposit", amount, who, sender=who)


def withdraw_coins(protocol: LocalProtocol, amount: int, who: str = "holder") -> None:
    """Bring stablecoin, and get coins [units of the coin]."""
    protocol.do("Stablecoin.approve", ADAPTER, MAX_UINT256, sender=who)
    protocol.do(f"{ADAPTER}.withdraw", amount, who, sender=who)


def insure_with_coins(
    protocol: LocalProtocol, amount: int, who: str = "member", pool: str = "Senior"
) -> None:
    """Bring coins in, and enter a pool with the stablecoin [units of the coin]."""
    deposit_coins(protocol, amount, who)
    protocol.do("Stablecoin.approve", pool, MAX_UINT256, sender=who)
    protocol.do(f"{pool}.deposit", amount * UNIT, who, sender=who)


def report_deficit(protocol: LocalProtocol, amount: int) -> None:
    """Report a deficit as the protocol [units of the coin]."""
    protocol.do(f"{ADAPTER}.report_deficit", amount, sender="lender")


def book_deficit(protocol: LocalProtocol, amount: int) -> None:
    """Report a deficit, wait, and book it [units of the coin]."""
    report_deficit(protocol, amount)
    protocol.advance(DELAY)
    protocol.do("Lender.realise_loss", sender="stranger")


def cover_deficit(protocol: LocalProtocol) -> int:
    """Make the stages pay, and return the immediately covered amount [rad]."""
    return int(protocol.do("LossWaterfall.cover", 0, sender="stranger"))


def read_deficit(protocol: LocalProtocol) -> int:
    """The deficit, rounded up [wad]."""
    return -(-int(protocol.read("VaultEngine.deficit_of", 0)) // RAY)


def read_coins(protocol: LocalProtocol, who: str) -> int:
    """Coins of an account [units of the coin]."""
    return int(protocol.read("USDX.balanceOf", who))


def replace_coin(protocol: LocalProtocol, kind: str) -> None:
    """Use another adapter, for a coin of a kind; the holder has one, and allows it to be taken."""
    coin = protocol.lockstep.create_contract(kind, "Other", "Other", "OTH", 6)
    wiring = [protocol.address(name) for name in ("lender", "Lender", "VaultEngine", "Stablecoin")]
    protocol.lockstep.create_contract("CoinAdapter", "Other.Adapter", coin, *wiring, 0)
    protocol.do("Lender.revoke_role", MINTER, ADAPTER, sender="admin")
    protocol.do("Lender.grant_role", MINTER, "Other.Adapter", sender="admin")
    protocol.do("Other.mint", "holder", USD, sender="holder")
    protocol.do("Other.approve", "Other.Adapter", MAX_UINT256, sender="holder")
