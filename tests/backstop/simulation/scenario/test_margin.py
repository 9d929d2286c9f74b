"""The margin market in scenario files: its parameters, its accounts, and a line for each mistake."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from backstop.deployment.configuration_calls import apply_configuration
from backstop.deployment.model_and_chain_deployment import create_model
from backstop.deployment.parameter_dataclasses import MarginParameters, PerpetualParameters
from backstop.deployment.planned_contracts import plan_deployment
from backstop.errors import BackstopError
from backstop.model.arithmetic import RAY, WAD
from backstop.simulation.scenario import Scenario, build_opening_margin_book, load_scenario
from tests.support.checkout_paths import ROOT

PRICES = {"ETH": 200 * RAY, "WBTC": 8_000 * RAY}
DOC = ROOT / "docs" / "reference" / "scenario-margin.md"
DAY = """extends: black-thursday
unsafe: {self-made-pair: The margins are small.}
parameters:
  equity:
    supply: 9 equity
    mint_cap: 1 equity
    buf: 120%
    floor: 50%
    duration: 2 d
    surplus_lot: 9 stablecoin
    feed: {quorum: 3, step: 1 h, max_age: 2 h, stale_after: 4 h, window: 1 h}
  facilitators:
    Perpetuals: {line: 1_000_000 stablecoin, delay: 1 d}
  margin:
    facilitator: Perpetuals
    policy: shared
    insurance: 250_000.5 stablecoin
    fee_share: 20%
    window: 30 min
    quiet: 6 min
    mark_age: 50 s
    band: 1%
    maker_fee: 0.1%
    taker_fee: 0.2%
    third_bond: 7 stablecoin
    bucket: 12 h
    buckets: 3
    cap: 100_000 stablecoin
    income_share: 15%
    insurance_target: 400_000 stablecoin
    markets:
      WBTC:
        lot: 0.001 WBTC
        initial: 5%
        maintenance: 3%
        discount: 80%
        haircut: 25%
        max_funding: 1%
        of_accounts: [{above: 1_000_000 stablecoin, margin: 2%}, {above: 2_000_000 stablecoin, margin: 3%}]
        of_market: [{above: 9_000_000 stablecoin, margin: 1%}]
        open_limit: 5_000_000 lots
        dust: 200 stablecoin
      ETH: {lot: 0.01 ETH}
margin_book:
  pairs:
    ETH:
      count: 50
      notional: {from: 1_000 stablecoin, to: 64_000 stablecoin}
      leverage: {from: 3 x, to: 9 x}
      short_leverage: {from: 1 x, to: 2 x}
      spread: 4%
      large: {share: 20%, times: 10}
    WBTC: {count: 20, notional: {from: 1_000 stablecoin, to: 9_000 stablecoin}, leverage: {from: 3x, to: 20x}}
  accounts:
    whale: {cash: 500_000 stablecoin, positions: {WBTC: 30 WBTC, ETH: {size: -100 ETH, price: 190 USD}}}
    desk: {cash: 400_000 stablecoin, positions: {WBTC: -20 WBTC, ETH: {size: 60 ETH, price: 190 USD}}}
    fund: {cash: 400_000 stablecoin, positions: {WBTC: -10 WBTC, ETH: {size: 40 ETH, price: 190 USD}}}
    idle: {cash: 1 stablecoin}
"""
EQUITY = DAY[DAY.index("  equity:") : DAY.index("  facilitators:")]


def loaded(tmp_path: Path, text: str = DAY) -> Scenario:
    path = tmp_path / "day.yaml"
    path.write_text(text)
    return load_scenario(path)


def test_every_parameter_is_read(tmp_path) -> None:
    scenario = loaded(tmp_path)
    assert scenario.insurance == 250_000 * WAD + WAD // 2
    assert scenario.margin_symbols == ("WBTC", "ETH")
    assert scenario.parameters.margin == MarginParameters(
        markets=(
            PerpetualParameters(
                "WBTC",
                lot=WAD // 1_000,
                initial=500,
                maintenance=300,
                discount=8_000,
                haircut=2_500,
                max_funding=100,
                of_accounts=((1_000_000, 200), (2_000_000, 300)),
                of_market=((9_000_000, 100), (0, 0)),
                open_limit=5_000_000,
                dust=200,
            ),
            PerpetualParameters("ETH", lot=WAD // 100),
        ),
        facilitator="Perpetuals",
        policy="shared",
        fee_share=2_000,
        window=1_800,
        quiet=360,
        mark_age=50,
        band=100,
        maker_fee=10,
        taker_fee=20,
        third_bond=7,
        bucket=43_200,
        buckets=3,
        cap=100_000,
        income_share=1_500,
        insurance_target=400_000,
    )
    deployment = plan_deployment(scenario.parameters)
    apply_configuration(create_model(deployment), deployment)


def test_every_parameter_is_in_the_page() -> None:
    section = DOC.read_text()
    for record in (MarginParameters, PerpetualParameters):
        for each in fields(record):
            assert f"`{each.name}`" in section or each.name == "symbol"
    for name in ("insurance", "count", "notional", "leverage", "spread", "large", "cash", "positions"):
        assert f"`{name}`" in section


def test_what_is_not_said_is_off(tmp_path) -> None:
    plain = load_scenario("black-thursday")
    assert plain.parameters.margin is None and plain.margin_symbols == () and plain.insurance == 0
    assert build_opening_margin_book(plain, 1, PRICES).deposits == {}
    alone = loaded(tmp_path, DAY[: DAY.index("margin_book:")])
    assert build_opening_margin_book(alone, 1, PRICES).trades == []


def test_a_drawn_book_keeps_to_its_ranges(tmp_path) -> None:
    scenario = loaded(tmp_path)
    book = build_opening_margin_book(scenario, 1, PRICES)
    assert (
        book
        == build_opening_margin_book(scenario, 1, PRICES)
        != build_opening_margin_book(scenario, 2, PRICES)
    )
    eth = [trade for trade in book.trades if trade.market == 1 and trade.long.startswith("long_")]
    assert [trade.long for trade in eth] == [f"long_{i + 1}" for i in range(50)]
    notionals = [trade.lots * 2 for trade in eth]  # a lot costs two
    assert min(notionals) >= 998 and max(notionals) > 64_000
    assert max(notionals) <= 640_000
    assert {trade.price for trade in eth} == {2 * WAD}


def test_a_leverage_is_that_of_the_opening_price(tmp_path) -> None:
    """Beyond the twentieth an account has one position: it pays in its equity at the opening price."""
    book = build_opening_margin_book(loaded(tmp_path), 1, PRICES)
    checked = 0
    for trade in book.trades:
        number = int(trade.long.partition("_")[2]) if trade.long.startswith("long_") else 0
        if trade.market == 1 and number > 20:
            notional = trade.lots * 2 * WAD
            for name, (least, most) in ((trade.long, (3, 9)), (trade.short, (1, 2))):
                equity = book.deposits[name]
                # What it had won may be more than that.
                assert notional <= most * equity and (equity * least <= notional + least or equity > 0)
                checked += 1
    assert checked == 60


def test_given_positions_are_matched_and_opened_at_the_mark(tmp_path) -> None:
    book = build_opening_margin_book(loaded(tmp_path), 1, PRICES)
    given = [trade for trade in book.trades if not trade.long.startswith("long_")]
    a_lot, eth = 8 * WAD, 2 * WAD
    assert given == [
        (0, "whale", "desk", 20_000, a_lot),
        (0, "whale", "fund", 10_000, a_lot),
        (1, "desk", "whale", 6_000, eth),
        (1, "fund", "whale", 4_000, eth),
    ]
    # At the mark: who was short at 190 has lost ten on each by then.
    assert book.deposits["idle"] == WAD
    assert book.deposits["whale"] == 500_000 * WAD - 10_000 * 10 * WAD // 100


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("lot: 0.001 WBTC", "lot: 0.001", "margin.markets.WBTC.lot: '0.001' is not an amount of WBTC; write"),
        ("lot: 0.001 WBTC", "lot: 0.001 ETH", "'0.001 ETH' is not an amount of WBTC; write e.g. '12.5 WBTC'"),
        ("        lot: 0.001 WBTC\n", "", "margin.markets.WBTC: 'lot' is missing"),
        ("      ETH: {lot", "      DOGE: {lot", "markets.DOGE: 'DOGE' is not one of: ETH, WBTC, XAUT"),
        ("maintenance: 3%", "maintenance: 5%", "markets.WBTC.maintenance: '5%' is too high: the most is 499"),
        ("        maintenance: 3%\n", "", "markets.WBTC.initial: must be above `maintenance`: 1000 basis"),
        ("initial: 5%", "initial: 200%", "markets.WBTC.initial: '200%' is too high"),
        ("discount: 80%", "discounts: 80%", "WBTC.discounts: unknown field; known here: lot, initial"),
        ("haircut: 25%", "haircut: 0%", "markets.WBTC.haircut: '0%' is too low"),
        ("max_funding: 1%", "max_funding: 20%", "markets.WBTC.max_funding: '20%' is too high"),
        ("margin: 3%}]", "margin: 99%}]", "markets.WBTC.of_accounts[1].margin: '99%' is too high"),
        (
            "5_000_000 lots",
            "10_000_000_000_001 lots",
            "open_limit: may be 10,000,000,000,000 lots of",
        ),
        ("5_000_000 lots", "5_000_000", "open_limit: '5_000_000' is not a number of lots; write e.g."),
        (
            "facilitator: Perpetuals",
            "facilitator: Nowhere",
            "margin.facilitator: facilitator 'Nowhere' is unknown; expected one of",
        ),
        ("policy: shared", "policy: greedy", "'greedy' is not one of: by-cycle, ranked, shared"),
        ("income_share: 15%", "income_share: 115%", "margin.income_share: '115%' is too high"),
        (EQUITY, "", "margin.income_share: needs the section parameters.equity: without it no"),
        ("insurance: 250_000.5", "insurance: -1", "margin.insurance: '-1 stablecoin' is negative"),
        ("window: 30 min", "window: 1 s", "margin.window: '1 s' is too low"),
        ("buckets: 3", "buckets: 0", "margin.buckets: '0' is too low"),
        ("    ETH:\n      count", "    XAUT:\n      count", "pairs.XAUT: 'XAUT' is not one of the markets"),
        ("leverage: {from: 3 x, to: 9 x}", "leverage: {from: 3, to: 9}", "leverage.from: '3' is not a ratio"),
        ("to: 9 x}", "to: 2 x}", "margin_book.pairs.ETH.leverage.to: '2 x' is too low: the least is 30000"),
        ("      count: 50\n", "", "margin_book.pairs.ETH: 'count' is missing"),
        ("times: 10", "times: 0", "margin_book.pairs.ETH.large.times: '0' is too low"),
        ("-20 WBTC", "-21 WBTC", "accounts: sizes in WBTC at the opening price add up to -1000 lots: each"),
        ("-20 WBTC", "-20.0005 WBTC", "desk.positions.WBTC: '-20.0005 WBTC' is not a whole number of lots"),
        ("-20 WBTC", "-20 ETH", "desk.positions.WBTC: '-20 ETH' is not an amount of WBTC; write e.g. '-12.5"),
        ("    idle:", "    long_3:", "accounts.long_3: 'long_3' is what an account of `pairs` is called"),
        ("    idle:", "    Idle:", "accounts.Idle: 'Idle' is not a name: small letters, digits and _"),
    ],
)
def test_a_mistake_names_its_place(tmp_path, old, new, message) -> None:
    assert old in DAY
    with pytest.raises(BackstopError) as caught:
        loaded(tmp_path, DAY.replace(old, new, 1))
    said = str(caught.value)
    assert said.startswith("day.yaml:") and "\n" not in said
    assert message in said


def test_a_book_needs_a_market(tmp_path) -> None:
    text = "extends: black-thursday\nmargin_book: {accounts: {idle: {cash: 1 stablecoin}}}\n"
    with pytest.raises(
        BackstopError, match=r"^day\.yaml:2: margin_book: needs the section parameters\.margin"
    ):
        loaded(tmp_path, text)
    with pytest.raises(BackstopError, match="margin_book: needs `pairs` or `accounts`"):
        loaded(tmp_path, DAY[: DAY.index("margin_book:")] + "margin_book: {}\n")
