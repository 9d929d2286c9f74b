"""Bitfinex 2016: a loss shared by all customers, claims of a dollar each, conversion, redemption.

Customers are members of Savings here, and the stolen coins are a debt whose collateral becomes worthless. The
claims run through the published steps on their dates; what is converted between two steps is what the
published numbers leave.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction

from backstop.deployment.deployment_parameters import (
    CollateralParameters,
    EquityParameters,
    Parameters,
    PoolParameters,
    StageParameters,
)
from backstop.model.arithmetic import MAX_UINT256, RAD, RAY, WAD
from backstop.model.bounds import EQUITY_MARKET
from backstop.studies.reproductions.figure_comparison import (
    EXACT,
    FigureRow,
    Reproduction,
    bound_difference,
    build_row,
)
from backstop.studies.reproductions.lockstep_deployment import LockstepDeployment, open_deployment
from backstop.studies.reproductions.published_figures import load_figures

SAFE, STOLEN = 0, 1  # collateral types
CUSTOMERS = {"whale": 120_000_000, "trader": 79_990_000, "small": 10_000}
"""Deposits [stablecoins]: 200 million in all, of which 36.067% are 72.134 million."""
LOST = 72_134_000
CONVERTED = 20_000_000  # by the whale, in October
PUBLISHED = load_figures("bitfinex")
LEFT_IN_JANUARY = int(PUBLISHED["left_in_january"])
EIGHT_DIGITS = Fraction(1, 10**8)

OPENED, THEFT, SHARED, LAST = (2016, 8, 1), (2016, 8, 2), (2016, 8, 6), (2017, 4, 3)
SOURCES = (
    "razor-forex.com, September 2016: 63.933% of the money could be withdrawn, after a haircut of 36.067% "
    "across all depositors",
    "bitfinex.com/bfx_token_terms, and CCN, October 2016: losses allocated ratably, a token for each dollar",
    "CCN, October 2016: redemptions of 1.1812% and 1.3152% of what was outstanding, pro rata, in September; "
    "over 20 million exchanged for equity",
    "bitfinex.com/posts/184, 10 January 2017: 2.00% redeemed, 35,712,790 tokens outstanding after that",
    "Coinspeaker, April 2017: all that is outstanding is redeemed on 3 April 2017",
)


def reproduce(seed: int) -> Reproduction:
    """Reproduce the haircut and the claims; the seed does not matter, as nothing is drawn."""
    with open_deployment(_build_parameters(), _to_timestamp(OPENED)) as here:
        rows = _compare_haircuts(here) + _compare_claims(here)
    return Reproduction("bitfinex", "Bitfinex, August 2016 to April 2017", SOURCES, rows)


def _compare_haircuts(here: LockstepDeployment) -> list[FigureRow]:
    """Share the loss among all customers, and compare their haircuts and claims."""
    _open_customers(here)
    before = {who: _read_worth(here, who) for who in CUSTOMERS}
    _realise_theft(here)
    here.apply_call("LossWaterfall", "cover", STOLEN, sender="stranger")
    rows = []
    for who, assets in before.items():
        cut = Fraction(100 * (assets - _read_worth(here, who)), assets)
        name = f"haircut of {who}, who has {CUSTOMERS[who]:,}"
        rows.append(
            build_row(
                name, cut, PUBLISHED["haircut"], bound_difference(EIGHT_DIGITS), unit="%", places=8, source=1
            )
        )
        here.apply_call("Savings", "collect_claims", here.get_address(who), sender="stranger")
        claims = Fraction(
            here.read_view("Savings.Claims", "balanceOf", here.get_address(who)),
            assets - _read_worth(here, who),
        )
        rows.append(
            build_row(
                "  claims for each dollar lost", claims, 1, bound_difference(EIGHT_DIGITS), places=8, source=2
            )
        )
    return rows


def _compare_claims(here: LockstepDeployment) -> list[FigureRow]:
    """Take the published steps, and compare what each redeems, converts or leaves."""
    trader, rows = here.get_address("trader"), []
    here.apply_call(
        "Stablecoin", "approve", here.get_address("Savings.Claims"), MAX_UINT256, sender="exchange"
    )
    claim = here.read_view("Savings.Claims", "balanceOf", trader)
    paid = 0
    for date, name, percent in (
        ((2016, 9, 2), "redeemed on 2 September", PUBLISHED["redeemed_2_september"]),
        ((2016, 9, 30), "redeemed on 30 September", PUBLISHED["redeemed_30_september"]),
    ):
        got = _redeem_share(here, date, percent / 100)
        rows.append(_compare_redemption(name, got, claim - paid, percent, 3))
        paid += got
    _advance_to_date(here, (2016, 10, 27))
    here.report_price(EQUITY_MARKET, RAY)
    price = Fraction(here.read_view("Savings.Claims", "conversion_price"), RAY)
    rows.append(build_row("claims for a dollar of equity", price, 1, EXACT, places=8, source=3))
    _convert_claims(here, CONVERTED * WAD)
    rows.append(build_row("owed after the conversion", _read_owed(here)))
    # Convert as much as makes January's redemption of 2% leave the published number.
    _convert_claims(here, _owed_wei(here) - LEFT_IN_JANUARY * WAD * 100 // 98)
    percent = PUBLISHED["redeemed_10_january"]
    got = _redeem_share(here, (2017, 1, 10), percent / 100)
    rows.append(_compare_redemption("redeemed on 10 January", got, claim - paid, percent, 4))
    paid += got
    rows.append(build_row("owed after that", _read_owed(here), LEFT_IN_JANUARY, source=4))
    paid += _redeem_share(here, LAST, Fraction(1))
    rows.append(build_row("owed after 3 April", _read_owed(here), 0, EXACT, source=5))
    name = "repaid to who never converted"
    share = Fraction(100 * paid, claim)
    rows.append(build_row(name, share, 100, bound_difference(EIGHT_DIGITS), unit="%", places=8, source=5))
    days = (here.both.timestamp - _to_timestamp(THEFT)) // 86_400
    rows.append(build_row("days from the theft to the last redemption", days, source=5))
    return rows


def _compare_redemption(name: str, got: int, owed: int, percent: Fraction, source: int) -> FigureRow:
    """Compare what a holder was paid with the published share of what it was owed."""
    share = Fraction(100 * got, owed)
    return build_row(
        f"{name}, of a holder's claim",
        share,
        percent,
        bound_difference(EIGHT_DIGITS),
        unit="%",
        places=8,
        source=source,
    )


# -------------------------------------------------------------------------- steps


def _build_parameters() -> Parameters:
    """Build a deployment in which Savings bear all of a loss at once, without fees or rewards.

    Claims convert at one dollar.
    """
    only = CollateralParameters("USDX", 18, 900_000_000, 100, 15_000, 15_100, 0, 900_000_000)
    free = replace(only, auction=replace(only.auction, tip=0, chip=0))
    return Parameters(
        (free, replace(free, symbol="BTCX")),
        global_debt_ceiling=1_000_000_000,
        global_auction_limit=900_000_000,
        stages=(StageParameters("savings"),),
        savings=PoolParameters(),
        equity=EquityParameters(mint_cap=100_000_000, conversion_price=RAY),
    )


def _open_customers(here: LockstepDeployment) -> None:
    """Set prices, make the customers' deposits, and fund the redemptions."""
    for _ in range(2):
        for market in (SAFE, STOLEN, EQUITY_MARKET):
            here.report_price(market, RAY)
    here.open_vault("market_maker", SAFE, 900_000_000 * WAD, 400_000_000 * WAD)
    for who, assets in CUSTOMERS.items():
        here.apply_call("Stablecoin", "transfer", here.get_address(who), assets * WAD, sender="market_maker")
        here.apply_call("Stablecoin", "approve", here.get_address("Savings"), MAX_UINT256, sender=who)
        here.apply_call("Savings", "deposit", assets * WAD, here.get_address(who), sender=who)
    here.apply_call("Stablecoin", "transfer", here.get_address("exchange"), LOST * WAD, sender="market_maker")


def _realise_theft(here: LockstepDeployment) -> None:
    """Open a debt of the stolen amount and let its collateral become worthless: nobody buys it."""
    for _ in range(2):
        here.report_price(STOLEN, RAY)
    here.open_vault("thief", STOLEN, 2 * LOST * WAD, LOST * WAD)
    _advance_to_date(here, THEFT)
    for _ in range(2):
        here.report_price(STOLEN, RAY // 10**9)
    auction_id = here.liquidate_vault("thief", STOLEN)
    _advance_to_date(here, SHARED)
    for _ in range(2):
        here.report_price(STOLEN, RAY // 10**9)
    here.apply_call("CollateralAuction", "close", auction_id, sender="stranger")
    assert here.read_view("VaultEngine", "deficit_of", STOLEN) == LOST * RAD


def _redeem_share(here: LockstepDeployment, date: tuple[int, int, int], share: Fraction) -> int:
    """Redeem a share of what is owed and return what the trader is paid [wei]."""
    _advance_to_date(here, date)
    before = here.read_view("Stablecoin", "balanceOf", here.get_address("trader"))
    here.apply_call("Savings.Claims", "repay", int(_owed_wei(here) * share), sender="exchange")
    here.apply_call("Savings.Claims", "collect", here.get_address("trader"), 0, sender="stranger")
    return int(here.read_view("Stablecoin", "balanceOf", here.get_address("trader"))) - int(before)


def _convert_claims(here: LockstepDeployment, owed: int) -> None:
    """Convert the whale's tokens worth `owed` [wei] to equity, which is still worth a dollar."""
    here.report_price(EQUITY_MARKET, RAY)
    tokens = owed * here.read_view("Savings.Claims", "tokens") // _owed_wei(here)
    here.apply_call("Savings.Claims", "convert", tokens, here.get_address("whale"), sender="whale")


def _owed_wei(here: LockstepDeployment) -> int:
    return int(here.read_view("Savings.Claims", "outstanding"))


def _read_owed(here: LockstepDeployment) -> Fraction:
    return Fraction(_owed_wei(here), WAD)


def _read_worth(here: LockstepDeployment, who: str) -> int:
    """Return what a customer's shares are worth [wei]: no loss waits for its cover when it is asked."""
    shares = here.read_view("Savings", "balanceOf", here.get_address(who))
    return int(here.read_view("Savings", "convertToAssets", shares))


def _to_timestamp(date: tuple[int, int, int]) -> int:
    return int(datetime(*date, tzinfo=UTC).timestamp())


def _advance_to_date(here: LockstepDeployment, date: tuple[int, int, int]) -> None:
    """Let time pass until the day begins, if it has not begun."""
    here.advance_time(max(0, _to_timestamp(date) - here.both.timestamp))
