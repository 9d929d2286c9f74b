"""Bitfinex 2016: a loss shared by all customers, claims of a dollar each, conversion, redemption.

Customers are depositors of Savings here, and the stolen coins are a debt with collateral that becomes
worthless. The claims run through the published steps on their dates. The amount converted between two steps
is the remainder of the published numbers.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction

from backstop.deployment.parameter_dataclasses import (
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
    build_absolute_tolerance,
    build_row,
)
from backstop.studies.reproductions.lockstep_deployment import LockstepDeployment, open_lockstep_deployment
from backstop.studies.reproductions.published_tables import load_figures

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


def reproduce_result(seed: int) -> Reproduction:
    """Compare the haircut and the claims of the Bitfinex loss with the published figures.

    Nothing is drawn, so that `seed` has no effect.
    """
    with open_lockstep_deployment(_build_parameters(), _to_timestamp(OPENED)) as here:
        rows = _compare_customer_haircuts_with_history(here) + _compare_claim_redemptions(here)
    return Reproduction("bitfinex", "Bitfinex, August 2016 to April 2017", SOURCES, rows)


def _compare_customer_haircuts_with_history(deployment: LockstepDeployment) -> list[FigureRow]:
    """Share the loss among all customers, and return rows that compare their haircuts and claims."""
    _open_customers(deployment)
    before = {who: _read_savings_worth(deployment, who) for who in CUSTOMERS}
    _book_stolen_amount_as_deficit(deployment)
    deployment.apply_call("LossWaterfall", "cover", STOLEN, sender="stranger")
    rows = []
    for who, assets in before.items():
        cut = Fraction(100 * (assets - _read_savings_worth(deployment, who)), assets)
        name = f"haircut of {who}, who has {CUSTOMERS[who]:,}"
        rows.append(
            build_row(
                name,
                cut,
                PUBLISHED["haircut"],
                build_absolute_tolerance(EIGHT_DIGITS),
                unit="%",
                places=8,
                source=1,
            )
        )
        deployment.apply_call(
            "Savings", "collect_claims", deployment.get_contract_or_account_address(who), sender="stranger"
        )
        claims = Fraction(
            deployment.read_view(
                "Savings.Claims", "balanceOf", deployment.get_contract_or_account_address(who)
            ),
            assets - _read_savings_worth(deployment, who),
        )
        rows.append(
            build_row(
                "  claims for each dollar lost",
                claims,
                1,
                build_absolute_tolerance(EIGHT_DIGITS),
                places=8,
                source=2,
            )
        )
    return rows


def _compare_claim_redemptions(deployment: LockstepDeployment) -> list[FigureRow]:
    """Apply the published redemptions and conversions of claims, and return a row for each figure."""
    trader, rows = deployment.get_contract_or_account_address("trader"), []
    deployment.apply_call(
        "Stablecoin",
        "approve",
        deployment.get_contract_or_account_address("Savings.Claims"),
        MAX_UINT256,
        sender="exchange",
    )
    claim = deployment.read_view("Savings.Claims", "balanceOf", trader)
    paid = 0
    for date, name, percent in (
        ((2016, 9, 2), "redeemed on 2 September", PUBLISHED["redeemed_2_september"]),
        ((2016, 9, 30), "redeemed on 30 September", PUBLISHED["redeemed_30_september"]),
    ):
        got = _repay_claims_and_collect(deployment, date, percent / 100)
        rows.append(_build_redemption_row(name, got, claim - paid, percent, 3))
        paid += got
    _advance_to_date(deployment, (2016, 10, 27))
    deployment.report_price(EQUITY_MARKET, RAY)
    price = Fraction(deployment.read_view("Savings.Claims", "conversion_price"), RAY)
    rows.append(build_row("claims for a dollar of equity", price, 1, EXACT, places=8, source=3))
    _convert_claims_to_equity(deployment, CONVERTED * WAD)
    rows.append(build_row("owed after the conversion", _read_outstanding_claims(deployment)))
    # Convert as much as makes January's redemption of 2% leave the published number.
    _convert_claims_to_equity(
        deployment, _read_outstanding_claims_wei(deployment) - LEFT_IN_JANUARY * WAD * 100 // 98
    )
    percent = PUBLISHED["redeemed_10_january"]
    got = _repay_claims_and_collect(deployment, (2017, 1, 10), percent / 100)
    rows.append(_build_redemption_row("redeemed on 10 January", got, claim - paid, percent, 4))
    paid += got
    rows.append(build_row("owed after that", _read_outstanding_claims(deployment), LEFT_IN_JANUARY, source=4))
    paid += _repay_claims_and_collect(deployment, LAST, Fraction(1))
    rows.append(build_row("owed after 3 April", _read_outstanding_claims(deployment), 0, EXACT, source=5))
    name = "repaid to who never converted"
    share = Fraction(100 * paid, claim)
    rows.append(
        build_row(name, share, 100, build_absolute_tolerance(EIGHT_DIGITS), unit="%", places=8, source=5)
    )
    days = (deployment.both.timestamp - _to_timestamp(THEFT)) // 86_400
    rows.append(build_row("days from the theft to the last redemption", days, source=5))
    return rows


def _build_redemption_row(
    name: str, paid: int, owed: int, published_percent: Fraction, source: int
) -> FigureRow:
    """Return a row that compares a holder's payment with the published share of its claim [%]."""
    share = Fraction(100 * paid, owed)
    return build_row(
        f"{name}, of a holder's claim",
        share,
        published_percent,
        build_absolute_tolerance(EIGHT_DIGITS),
        unit="%",
        places=8,
        source=source,
    )


# -------------------------------------------------------------------------- steps


def _build_parameters() -> Parameters:
    """Return parameters in which Savings bear all of a loss at once, without fees or rewards.

    Claims convert to equity at one dollar.
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
    """Report prices, deposit the customers' stablecoins in Savings, and fund the redemptions."""
    for _ in range(2):
        for market in (SAFE, STOLEN, EQUITY_MARKET):
            here.report_price(market, RAY)
    here.open_vault("market_maker", SAFE, 900_000_000 * WAD, 400_000_000 * WAD)
    for who, assets in CUSTOMERS.items():
        here.apply_call(
            "Stablecoin",
            "transfer",
            here.get_contract_or_account_address(who),
            assets * WAD,
            sender="market_maker",
        )
        here.apply_call(
            "Stablecoin", "approve", here.get_contract_or_account_address("Savings"), MAX_UINT256, sender=who
        )
        here.apply_call(
            "Savings", "deposit", assets * WAD, here.get_contract_or_account_address(who), sender=who
        )
    here.apply_call(
        "Stablecoin",
        "transfer",
        here.get_contract_or_account_address("exchange"),
        LOST * WAD,
        sender="market_maker",
    )


def _book_stolen_amount_as_deficit(deployment: LockstepDeployment) -> None:
    """Create a deficit of the stolen amount.

    A vault draws that amount, its collateral becomes worthless, and its auction ends without a buyer.
    """
    for _ in range(2):
        deployment.report_price(STOLEN, RAY)
    deployment.open_vault("thief", STOLEN, 2 * LOST * WAD, LOST * WAD)
    _advance_to_date(deployment, THEFT)
    for _ in range(2):
        deployment.report_price(STOLEN, RAY // 10**9)
    auction_id = deployment.liquidate_vault("thief", STOLEN)
    _advance_to_date(deployment, SHARED)
    for _ in range(2):
        deployment.report_price(STOLEN, RAY // 10**9)
    deployment.apply_call("CollateralAuction", "close", auction_id, sender="stranger")
    assert deployment.read_view("VaultEngine", "deficit_of", STOLEN) == LOST * RAD


def _repay_claims_and_collect(
    deployment: LockstepDeployment, date: tuple[int, int, int], repaid_share: Fraction
) -> int:
    """Redeem a share of the outstanding claims at a date, and return the trader's payment [wei]."""
    _advance_to_date(deployment, date)
    before = deployment.read_view(
        "Stablecoin", "balanceOf", deployment.get_contract_or_account_address("trader")
    )
    deployment.apply_call(
        "Savings.Claims",
        "repay",
        int(_read_outstanding_claims_wei(deployment) * repaid_share),
        sender="exchange",
    )
    deployment.apply_call(
        "Savings.Claims",
        "collect",
        deployment.get_contract_or_account_address("trader"),
        0,
        sender="stranger",
    )
    return int(
        deployment.read_view("Stablecoin", "balanceOf", deployment.get_contract_or_account_address("trader"))
    ) - int(before)


def _convert_claims_to_equity(deployment: LockstepDeployment, owed: int) -> None:
    """Convert the whale's claim tokens worth `owed` [wei] to equity, which is still worth a dollar."""
    deployment.report_price(EQUITY_MARKET, RAY)
    tokens = (
        owed * deployment.read_view("Savings.Claims", "tokens") // _read_outstanding_claims_wei(deployment)
    )
    deployment.apply_call(
        "Savings.Claims",
        "convert",
        tokens,
        deployment.get_contract_or_account_address("whale"),
        sender="whale",
    )


def _read_outstanding_claims_wei(deployment: LockstepDeployment) -> int:
    return int(deployment.read_view("Savings.Claims", "outstanding"))


def _read_outstanding_claims(deployment: LockstepDeployment) -> Fraction:
    return Fraction(_read_outstanding_claims_wei(deployment), WAD)


def _read_savings_worth(deployment: LockstepDeployment, account_name: str) -> int:
    """Return the worth of an account's shares in Savings [wei]."""
    shares = deployment.read_view(
        "Savings", "balanceOf", deployment.get_contract_or_account_address(account_name)
    )
    return int(deployment.read_view("Savings", "convertToAssets", shares))


def _to_timestamp(date: tuple[int, int, int]) -> int:
    return int(datetime(*date, tzinfo=UTC).timestamp())


def _advance_to_date(here: LockstepDeployment, date: tuple[int, int, int]) -> None:
    """Advance the clock to the beginning of a day; do nothing if the day has begun."""
    here.advance_time(max(0, _to_timestamp(date) - here.both.timestamp))
