"""Savers' actions, losses, and a pool's prices: by the specification, not the model."""

from __future__ import annotations

from typing import Any

from backstop.contract_base import ZERO_ADDRESS
from backstop.deployment.example_parameters import build_standard_parameters
from backstop.deployment.parameter_dataclasses import Parameters
from backstop.deployment.role_accounts import get_account
from backstop.hosts.account_addresses import compute_contract_address
from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from backstop.model.member_pool import MemberPool
from backstop.model.redeem_queue import MOST_UNSETTLED, get_collecting_time
from backstop.proof.local_protocol import PRICES, LocalProtocol
from backstop.simulation.account_value import compute_stake
from tests.support.revert_setter_and_source_helpers import STAGE, get_revert_reason

POOL = "Savings"
# The type whose vaults default: what savers get is drawn against WETH.
XAU = 2
DAY = 86_400
# Seconds that a batch waits after its cooldown.
LOOK = 600


def stage_index(name: str, parameters: Parameters | None = None) -> int:
    """The place of a stage in the order of losses; of the standard one, unless told otherwise."""
    return [stage.name for stage in (parameters or build_standard_parameters()).stages].index(name)


BUFFER, RESERVE, SAVINGS = map(stage_index, ("buffer", "reserve", "savings"))


def give_stablecoin(protocol: LocalProtocol, who: str, assets: int) -> None:
    """Give an account stablecoin, however long ago the last price was."""
    if protocol.read("PriceFeed.risk_price", protocol.get_collateral_type("WETH")) == 0:
        protocol.post_price("WETH", PRICES["WETH"])
    protocol.give_stablecoin(who, assets)


def pool_arguments(protocol: LocalProtocol, token: str = "Stablecoin", **others: Any) -> tuple[Any, ...]:
    """The arguments of a pool's constructor: no clawback and no claims."""
    values: dict[str, Any] = {
        "name": "Made",
        "symbol": "MADE",
        "token": token,
        "vault_engine": "VaultEngine",
        "loss_waterfall": "LossWaterfall",
        "clawback": ZERO_ADDRESS,
        "claims": ZERO_ADDRESS,
        "cooldown": DAY,
        "vesting": 7 * DAY,
    } | others
    places = ("token", "vault_engine", "loss_waterfall", "clawback", "claims")
    return tuple(protocol.address(value) if name in places else value for name, value in values.items())


def create_additional_pool(protocol: LocalProtocol, name: str = "Made", **others: Any) -> str:
    """Create a pool beside the deployment's, listed as a stage; return its name."""
    protocol.lockstep.create_contract("Pool", name, *pool_arguments(protocol, **others))
    protocol.do("VaultEngine.grant_role", STAGE, name, sender="admin")
    return name


def make_equity_pool(protocol: LocalProtocol, name: str, token: str, stage: str, **others: Any) -> str:
    """A pool of a token of its own kind that a stage slashes; its name."""
    values: dict[str, Any] = {"loss_waterfall": "LossWaterfall", "cooldown": DAY, "vesting": 7 * DAY} | others
    wiring = (protocol.address(each) for each in (token, values["loss_waterfall"], stage))
    times = values["cooldown"], values["vesting"]
    protocol.lockstep.create_contract("EquityPool", name, "Staked", "STK", *wiring, *times)
    return name


def create_recovery_claims_contract(
    protocol: LocalProtocol, pool: str, conversion_price: int = 0, equity_symbol: str = "BSE"
) -> str:
    """A series of claims of a pool, or of an account, for a token that anyone mints as equity; its name."""
    protocol.deploy_token("Token", "Equity", equity_symbol, 18)
    wiring = (protocol.address(name) for name in ("Stablecoin", pool, equity_symbol, "PriceFeed"))
    protocol.lockstep.create_contract(
        "RecoveryClaims", f"{pool}.Claims", "Claims", "CLAIM", *wiring, conversion_price
    )
    return f"{pool}.Claims"


def create_claims_pool_and_return_name(protocol: LocalProtocol, **others: Any) -> str:
    """Create a pool with claims; it pays as `bear` says, and its clawback stage is an account."""
    name = "Young"
    protocol.lockstep.create_contract("ScriptedWaterfall", "Waterfall")
    others = {"loss_waterfall": "Waterfall"} | others
    claims = compute_contract_address(get_account(f"deployer_of_{name}.Claims"), 0)
    create_additional_pool(protocol, name, clawback="clawback", claims=claims, **others)
    assert create_recovery_claims_contract(protocol, name) and protocol.address(f"{name}.Claims") == claims
    return name


def create_pool_and_give_savers_coins(protocol: LocalProtocol) -> LocalProtocol:
    """Deploy an empty pool with claims, and give three accounts 10,000 coins that they may deposit in it."""
    create_claims_pool_and_return_name(protocol)
    for who in ("saver", "neighbour", "newcomer"):
        give_stablecoin(protocol, who, 10_000 * WAD)
        protocol.do("Stablecoin.approve", "Young", MAX_UINT256, sender=who)
    return protocol


def charge_pool(protocol: LocalProtocol, pool: str, assets: int) -> None:
    """Charge a pool for a loss, as the waterfall would; the excess over the deficit goes to the reserve."""
    protocol.do("Waterfall.charge", pool, XAU, assets * RAY, sender="stranger")


def deposit_savings(protocol: LocalProtocol, who: str, assets: int, pool: str = POOL) -> int:
    """Give an account stablecoin and deposit it; return the shares."""
    give_stablecoin(protocol, who, assets)
    protocol.do("Stablecoin.approve", pool, MAX_UINT256, sender=who)
    return int(protocol.do(f"{pool}.deposit", assets, who, sender=who))


def leave_in_crumbs(protocol: LocalProtocol) -> None:
    """Junior with 4,000, and as many batches of a coin as may wait, each cut at another price."""
    period = get_collecting_time(protocol.read("Junior.COOLDOWN"))
    deposit_savings(protocol, "saver", 4_000 * WAD, "Junior")
    give_stablecoin(protocol, "saver", 100 * WAD)
    protocol.do("Stablecoin.approve", "Junior", 100 * WAD, sender="saver")
    for _ in range(MOST_UNSETTLED):
        shares = deposit_savings(protocol, "attacker", WAD, "Junior")
        protocol.do("Junior.add_income", WAD, sender="saver")
        protocol.do("Junior.requestRedeem", shares, "attacker", "attacker", sender="attacker")
        protocol.advance(period)
        protocol.do("Junior.cut", sender="attacker")


def lose_new_vault(protocol: LocalProtocol, symbol: str = "XAU", debt: int = 10_000 * WAD) -> int:
    """A new vault's collateral becomes worthless, within hours; how much its type's deficit grew, rad."""
    c = protocol.get_collateral_type(symbol)
    auction = next(each.auction for each in protocol.parameters.collateral_types if each.symbol == symbol)
    before = int(protocol.read("VaultEngine.deficit_of", c))
    protocol.post_price(symbol, PRICES[symbol])
    defaulter = f"defaulter_{protocol.timestamp}"
    protocol.borrow(defaulter, symbol, 2 * debt * RAY // PRICES[symbol], debt)
    protocol.post_price(symbol, PRICES[symbol] // 10**7)
    opened = protocol.do("LiquidationEngine.liquidate", c, defaulter, "liquidator", sender="liquidator")
    end = protocol.timestamp + auction.tail
    # A close needs a fresh price, and the time-weighted one has to follow.
    while protocol.timestamp <= end:
        protocol.post_price(symbol, PRICES[symbol] // 10**7)
    protocol.do("CollateralAuction.close", opened, sender="stranger")
    return int(protocol.read("VaultEngine.deficit_of", c)) - before


def earn_year_of_high_fees(protocol: LocalProtocol, symbol: str = "XAU") -> None:
    """A year of a high fee: thousands in the type's buffer, and as much in the reserve."""
    protocol.do("VaultEngine.set_stability_fee", protocol.get_collateral_type(symbol), 10**19, sender="admin")
    protocol.earn_fees(symbol)


def request_all_shares(protocol: LocalProtocol, who: str, pool: str = POOL) -> int:
    """Ask for everything; the shares."""
    shares = int(protocol.read(f"{pool}.balanceOf", who))
    protocol.do(f"{pool}.requestRedeem", shares, who, who, sender=who)
    return shares


def cut_batch(protocol: LocalProtocol, pool: str = POOL) -> int:
    """Let the batch collect for its day, and cut it; return its number."""
    _, _, batch = protocol.read(f"{pool}.queue")
    end = protocol.read(f"{pool}.batch_of", batch)[1] + get_collecting_time(protocol.read(f"{pool}.COOLDOWN"))
    protocol.advance(max(0, end - protocol.timestamp))
    return int(protocol.do(f"{pool}.cut", sender="stranger"))


def cut_batch_and_wait_cooldown(protocol: LocalProtocol, pool: str = POOL) -> None:
    """Cut the batch that collects, and let its cooldown pass."""
    cut_batch(protocol, pool)
    protocol.advance(protocol.read(f"{pool}.COOLDOWN") + LOOK)


def redeem_all_shares(protocol: LocalProtocol, who: str, pool: str = POOL) -> int:
    """Have batches settled and claim all that was paid, or redeem where that takes no request; the assets."""
    if protocol.read(f"{pool}.COOLDOWN") == 0:
        shares = protocol.read(f"{pool}.maxRedeem", who)
        return int(protocol.do(f"{pool}.redeem", shares, who, who, sender=who))
    get_revert_reason(protocol, f"{pool}.settle", sender="stranger")
    return claim_requests(protocol, who, pool)


def claim_requests(protocol: LocalProtocol, who: str, pool: str = POOL) -> int:
    """Claim all claimable requests of an account; return the assets."""
    shares = protocol.read(f"{pool}.maxRedeem", who)
    return int(protocol.do(f"{pool}.redeem", shares, who, who, sender=who))


def read_requested_shares(protocol: LocalProtocol, who: str, batch: int = 1, pool: str = POOL) -> int:
    """Return the shares of an account's request that are not claimed yet."""
    calls = (f"{pool}.pendingRedeemRequest", f"{pool}.claimableRedeemRequest")
    return sum(int(protocol.read(call, batch, who)) for call in calls)


def read_stake(protocol: LocalProtocol, who: str, pool: str = POOL) -> int:
    """Return an account's value in a pool and its batches after all known losses [wei], about."""
    found = protocol.lockstep.model.world.contracts[pool]
    assert isinstance(found, MemberPool)
    return compute_stake(found, protocol.address(who))


def compute_entry_shares(protocol: LocalProtocol, assets: int, pool: str = POOL) -> int:
    """floor(a * (S + 1e6) / (A + 1))"""
    supply, booked = protocol.read(f"{pool}.totalSupply"), protocol.read(f"{pool}.totalAssets")
    return int(assets * (supply + 10**6) // (booked + 1))


def compute_exit_assets(protocol: LocalProtocol, shares: int, pool: str = POOL) -> int:
    """floor(s * (A - UL + 1) / (S + 1e6))"""
    supply, booked = protocol.read(f"{pool}.totalSupply"), protocol.read(f"{pool}.totalAssets")
    return int(shares * (booked - compute_known_losses(protocol, pool) + 1) // (supply + 10**6))


def compute_known_losses(protocol: LocalProtocol, pool: str = POOL) -> int:
    """UL by hand, for a pool behind the buffers and the reserve, both without caps; wad, rounded up."""
    beyond = 0
    for c in range(protocol.read("VaultEngine.collateral_types")):
        deficit, buffer = (
            protocol.read("VaultEngine.deficit_of", c),
            protocol.read("VaultEngine.buffer_of", c),
        )
        beyond += max(0, deficit - buffer)
    beyond = max(0, beyond - protocol.read("VaultEngine.reserve"))
    return int(min(protocol.read(f"{pool}.capacity", 0) // RAY, -(-beyond // RAY)))
