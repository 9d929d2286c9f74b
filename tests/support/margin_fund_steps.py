"""A standalone margin fund in the tests, with the account `market` as its market, and its actions."""

from __future__ import annotations

from backstop.contract_base import ZERO_ADDRESS
from backstop.model.arithmetic import MAX_UINT256, WAD
from backstop.proof.local_protocol import LocalProtocol

DAY = 86_400


def create_margin_fund_with_cap(protocol: LocalProtocol) -> LocalProtocol:
    """The fund `Fund`, with a cap of 2,000 a day, and a market that has some stablecoin."""
    coin, market, admin = (protocol.address(name) for name in ("Stablecoin", "market", "admin"))
    protocol.lockstep.create_contract("MarginFund", "Fund", coin, market, ZERO_ADDRESS, admin, DAY, 7)
    protocol.do("Fund.set_cap", 2_000, sender="admin")
    protocol.do("Stablecoin.transfer", "market", 10_000 * WAD, sender="rich")
    protocol.do("Stablecoin.approve", "Fund", MAX_UINT256, sender="rich")
    return protocol


def lock_profit(protocol: LocalProtocol, owner: str, amount: int) -> int:
    """A withdrawn profit, wad; its bucket."""
    protocol.do("Stablecoin.transfer", "Fund", amount, sender="market")
    protocol.do("Fund.lock", owner, amount, sender="market")
    return protocol.timestamp // DAY


def absorb_loss_in_margin_fund(protocol: LocalProtocol, loss: int) -> int:
    """Absorb a loss [wad]; return the payment."""
    return int(protocol.do("Fund.absorb", loss, loss, sender="market"))


def add_margin_fund_insurance(protocol: LocalProtocol, amount: int) -> None:
    """Wad."""
    protocol.do("Fund.insure", amount, sender="rich")


def read_profit(protocol: LocalProtocol, owner: str, bucket: int) -> int:
    """Return the remaining profit [wad]."""
    return int(protocol.read("Fund.profit_of", owner, bucket))


def sum_margin_fund_assets(protocol: LocalProtocol) -> int:
    """Insurance and all that is in buckets, wad."""
    tables = protocol.lockstep.model.world.contracts["Fund"].tables
    return int(tables["insurance"][()].amount + sum(each.assets for each in tables["buckets"].values()))
