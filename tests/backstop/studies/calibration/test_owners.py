"""Owners of vaults, measured from events: a known law is found again, and every act is classified right."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import backstop
from backstop.cli.fit_owners import cli
from backstop.errors import BackstopError
from backstop.files.installation import SAMPLES
from backstop.model.arithmetic import RAY, WAD
from backstop.simulation.scenario.owner_behavior import DEFENCES
from backstop.simulation.sources.table_reader import TableFaultsError
from backstop.studies.calibration.jackknife import Figure
from backstop.studies.calibration.owner_acts import measure_act_law
from backstop.studies.calibration.owner_estimates import (
    OwnerCounts,
    OwnerForecast,
    OwnerRates,
    compute_chances,
    compute_idle_posteriors,
    get_cell,
)
from backstop.studies.calibration.owner_fit import OwnerFit
from backstop.studies.calibration.owner_history import (
    OwnerAct,
    OwnerHistory,
    VaultHour,
    classify_owner_act,
    compute_distance,
)
from backstop.studies.calibration.owner_section import (
    DEFAULTS,
    format_share,
    read_owner_law,
    split_whole,
    write_owner_section,
)
from tests.support.checkout_paths import ROOT
from tests.support.synthetic_owners import (
    HEAD,
    START,
    SyntheticLaw,
    build_prices,
    draw_events,
    list_known_figures,
    write_price_csv,
)

LAW = SyntheticLaw()
DOLLARS = {"debt_price": "1"}
RATIOS = {"WETH": "130%"}
PRICES = "time,WETH\n" + "".join(
    f"2024-03-0{day}T{hour:02}:00Z,{1_000 - hour}\n" for day in (1, 2) for hour in range(24)
)
OPENING = "deposit,a,WETH,10,2024-03-02T00:00Z,,\ndraw,a,DAI,5000,2024-03-02T00:00Z,,\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A week of 150 owners of the known law, and its prices."""
    path = tmp_path_factory.mktemp("owners")
    prices = build_prices(7)
    (path / "prices.csv").write_text(write_price_csv(prices))
    (path / "events.csv").write_text(draw_events(LAW, 150, prices, 3))
    return path


@pytest.fixture(scope="module")
def history(folder: Path) -> OwnerHistory:
    return read_history(folder, begin=START)


@pytest.fixture(scope="module")
def fit(history: OwnerHistory) -> OwnerFit:
    return backstop.fit_owners([history], draws=60)


@pytest.fixture(scope="module")
def small(folder: Path) -> OwnerFit:
    """Two days of the same owners."""
    until = f"{START + 2 * 86_400}"
    return backstop.fit_owners(
        [read_history(folder, begin=START + 86_400, until=until)], draws=40, large_debt=10**9
    )


def read_history(folder: Path, name: str = "events.csv", **given) -> OwnerHistory:
    prices = backstop.read_prices(folder / "prices.csv")
    return backstop.read_owner_history(
        folder / name, prices, **{"fixed": DOLLARS, "ratios": {"WETH": "130%"}, **given}
    )


def read_story(folder: Path, text: str, prices: str = PRICES, **given) -> OwnerHistory:
    (folder / "prices.csv").write_text(prices)
    (folder / "story.csv").write_text(HEAD + OPENING + text)
    return read_history(folder, "story.csv", **{"until": "2024-03-02T05:00Z", **given})


def list_acts(history: OwnerHistory) -> list[OwnerAct | None]:
    return [hour.act for hour in history.hours]


# ------------------------------------------------------------------- the law


def test_a_known_law_is_found_within_its_intervals(fit: OwnerFit) -> None:
    """Of 30 parameters one or two may miss their intervals of 95%; none is far off."""
    figures = {(each.name, each.of): each.figure for each in fit.parameters}
    known = list_known_figures(LAW)
    missed = {place for place, value in known.items() if not is_inside(value, figures[place])}
    assert len(known) == 30 and len(missed) <= 3, missed
    for place, value in known.items():
        low, high = figures[place].low, figures[place].high
        assert low is not None and high is not None
        assert low - (high - low) <= value <= high + (high - low), place
    assert fit.unmeasured == ()


def is_inside(value: float, figure: Figure) -> bool:
    assert figure.low is not None and figure.high is not None
    return figure.low <= value <= figure.high


def test_what_is_expected_is_what_was_observed(fit: OwnerFit) -> None:
    """One step ahead: by distance and by day, to three standard errors."""
    for table in (fit.distances, fit.days):
        for row in table.to_dict("records"):
            assert abs(row["observed"] - row["expected"]) <= 3 * max(1, row["expected"]) ** 0.5, row
    assert fit.distances["observed"].sum() == fit.days["observed"].sum() > 400
    assert fit.distances["expected"].sum() == pytest.approx(fit.distances["observed"].sum(), rel=0.02)
    falls = fit.falls[["observed", "observed_under_0"]].to_numpy().sum()
    assert falls == fit.days["observed"].sum()


def test_the_law_tells_hours_better_than_one_chance(fit: OwnerFit) -> None:
    assert fit.quality.law > fit.quality.constant + 100 and fit.quality.law > fit.quality.default + 20


def test_releases_are_counted_by_owner(tmp_path) -> None:
    """Of 20 owners one releases ten times, and nineteen never: as if one in twenty released once."""
    opening = "".join(
        f"deposit,o{i},WETH,10,2024-03-02T00:00Z,,\ndraw,o{i},DAI,5000,2024-03-02T00:00Z,,\n"
        for i in range(19)
    )
    draws = "".join(f"draw,a,DAI,20,2024-03-02T{hour:02}:30Z,,\n" for hour in range(10))
    week = read_story(tmp_path, opening + draws, until="2024-03-02T10:00Z")
    found = backstop.fit_owners([week], draws=40)
    chance = found.law.rates.releases[2]
    assert 190 * chance < 3 and sum(hour.act is not None for hour in week.hours) == 10
    awake = sum(1 - share for share in compute_idle_posteriors(OwnerCounts([week], 10**9), found.law.rates))
    assert awake * (1 - (1 - chance) ** 10) == pytest.approx(1, rel=1e-3)


def test_an_owner_who_stays_quiet_is_more_likely_idle() -> None:
    rates = OwnerRates(0.2, (0.5,) * 8, (1.0, 1.0, 1.0, 1.0), 1.0, (0.2,) * 4)
    forecast = OwnerForecast(rates, 1_000_000)
    quiet = VaultHour(0, 0, 500, 0, WAD, None)
    acting = quiet._replace(act=OwnerAct("add", 0.1, 900))
    assert forecast.forecast_defence(0, quiet) == pytest.approx(0.8 * 0.5)
    share = 0.8 * 0.4 / (0.2 + 0.8 * 0.4)
    assert forecast.forecast_defence(0, acting) == pytest.approx(share * 0.5)
    assert forecast.forecast_defence(0, quiet) == forecast.forecast_defence(0, quiet) == 0.5
    assert forecast.forecast_defence(1, quiet) == pytest.approx(0.4)


def test_a_chance_is_bounded_and_a_factor_is_linear() -> None:
    rates = OwnerRates(0.2, (0.4, *(0.1,) * 7), (1.0, 2.0, 4.0, 6.0), 3.0, (0.0,) * 4)
    chances = compute_chances(rates)

    def get_chance(distance: int, fall: int, debt: int) -> float:
        return float(chances[get_cell(VaultHour(0, 0, distance, fall, debt * WAD, None), 1_000_000)])

    assert get_chance(-1, 0, 999_999) == 0.4 and get_chance(-1, 0, 1_000_000) == 1.0
    assert get_chance(0, 0, 1) == 0.1  # at 0 a vault is not under the liquidation price
    assert get_chance(0, 1_450, 1) == get_chance(0, 1_401, 1) == pytest.approx(0.29)
    assert get_chance(0, 5_000, 1) == pytest.approx(0.6)


# ---------------------------------------------------------------------- acts


@pytest.mark.parametrize(
    ("added", "drawn", "way", "size", "after"),
    [
        (-100, -100, "sell", 0.1, (1_900, 900)),
        (0, -100, "repay", 0.1, (2_000, 900)),
        (60, -100, "repay", 0.1, (2_060, 900)),
        (100, -60, "add", 0.1, (2_100, 940)),
        (100, 0, "add", 0.1, (2_100, 1_000)),
        (300, 100, "add", 0.2, (2_300, 1_100)),  # less what is drawn on it
        (0, 100, "draw", 0.1, (2_000, 1_100)),
        (100, 100, "draw", 2_000 * 1_100 / (2_100 * 1_000) - 1, (2_100, 1_100)),  # a loop falls by less
        (-100, 0, "withdraw", 0.1, (1_900, 1_000)),
        (-500, -100, "withdraw", (2_000 * 900 - 1_500 * 1_000) / 900 / 1_000, (1_500, 900)),
        (-2_000, 0, "withdraw", 1.0, (0, 1_000)),
    ],
)
def test_an_act_has_the_way_that_counts(added, drawn, way, size, after) -> None:
    """Collateral worth 2,000 and a debt of 1,000, at a price of 2 and a ratio of 130%."""
    act = classify_owner_act(1_000 * WAD, 1_000 * WAD, added * WAD // 2, drawn * WAD, 2 * RAY, 13_000)
    assert act is not None and act.way == way and act.size == pytest.approx(size)
    assert act.distance_after == after[0] * 10**8 // (after[1] * 13_000) - 10_000


@pytest.mark.parametrize(
    ("added", "drawn", "way"),
    [(0, 0, None), (3, 0, "add"), (2, 0, None), (-3, 0, "withdraw"), (-2, 0, None), (100, 100, None)],
)
def test_a_ratio_that_moves_by_less_than_three_thousandths_is_no_act(added, drawn, way) -> None:
    act = classify_owner_act(1_000, 1_000, added, drawn, RAY, 13_000)
    assert (act and act.way) == way


def test_closing_is_a_defence_of_all_debt() -> None:
    assert classify_owner_act(100, 50, 0, -50, RAY, 13_000) == OwnerAct("repay", 1.0, None)
    assert classify_owner_act(100, 50, -100, -50, RAY, 13_000) == OwnerAct("sell", 1.0, None)


def test_distances_are_rounded_down() -> None:
    assert compute_distance(130 * WAD, 100 * WAD, RAY, 13_000) == 0
    assert compute_distance(130 * WAD - 1, 100 * WAD, RAY, 13_000) == -1
    assert compute_distance(13 * WAD, 1_000 * WAD, 200 * RAY, 13_000) == 10_000


def test_quantiles_are_acts_that_happened() -> None:
    acts = [(OwnerAct("add", i / 100, 100 * i), 1) for i in range(21)] + [(OwnerAct("sell", 1.0, None), 21)]
    law = measure_act_law(acts, DEFENCES)
    assert law.ways == (0.5, 0.0, 0.5)
    assert law.sizes == (0.0, 0.04, 0.08, 0.12, 0.16, 0.2, 1.0, 1.0, 1.0, 1.0, 1.0)
    assert law.least == 100  # one in twenty of the 21 that still owe is under it
    twenty = [(OwnerAct("add", 0.1, 100 * i), 1) for i in range(3, 23)]
    assert measure_act_law(twenty, DEFENCES).least == 300
    assert measure_act_law([(OwnerAct("sell", 0.5, -300), 3)], DEFENCES).least == 0
    assert measure_act_law([(OwnerAct("sell", 1.0, None), 1)], DEFENCES).least == 0


# -------------------------------------------------------------------- events


def test_what_happens_within_an_hour_is_one_act(tmp_path) -> None:
    """An event at a full hour belongs to the hour before; fourteen steps are one sale."""
    steps = "".join(
        f"repayment,a,DAI,100,2024-03-02T01:{i:02}Z,,\nwithdrawal,a,WETH,0.1,2024-03-02T01:{i:02}Z,,\n"
        for i in range(10, 15)
    )
    found = read_story(tmp_path, f"deposit,a,WETH,1,2024-03-02T01:00Z,,\n{steps}")
    assert [hour.time % 86_400 // 3_600 for hour in found.hours] == [0, 1, 2, 3, 4]
    first, second, *others = list_acts(found)
    assert first is not None and second is not None and others == [None] * 3
    assert (first.way, first.size) == ("add", pytest.approx(0.2))
    assert (second.way, second.size) == ("sell", pytest.approx(0.1))
    assert [hour.distance for hour in found.hours[:2]] == [
        10 * 1_000 * 10**8 // (5_000 * 13_000) - 10_000,
        11 * 999 * 10**8 // (5_000 * 13_000) - 10_000,
    ]
    assert [hour.fall for hour in found.hours] == [0] * 5  # as high as a day before


def test_a_liquidation_is_nobodys_act(tmp_path) -> None:
    """The owner's acts before it within the hour count, the remainder afterwards does not."""
    text = (
        "repayment,a,DAI,500,2024-03-02T01:10Z,,\nliquidation,a,WETH,6,2024-03-02T01:20Z,DAI,4500\n"
        "withdrawal,a,WETH,4,2024-03-02T01:30Z,,\n"
    )
    found = read_story(tmp_path, text)
    assert [act and (act.way, act.size) for act in list_acts(found)] == [None, ("repay", 0.1)]
    assert found.liquidated == 1 and found.vaults == 1
    alone = read_story(tmp_path, "liquidation,a,WETH,10,2024-03-02T01:20Z,DAI,5000\n")
    assert list_acts(alone) == [None, None]


def test_an_owner_is_near_whose_vault_left_alone_would_have_been(tmp_path) -> None:
    """At 700 dollars the vault left alone is at 7.7%: an owner that adds before is near all the same."""
    prices = "time,WETH\n" + "".join(
        f"2024-03-02T{hour:02}:00Z,{price}\n" for hour, price in enumerate((1_000, 900, 700, 700, 700, 900))
    )
    text = "deposit,a,WETH,9,2024-03-02T00:10Z,,\n"
    found = read_story(tmp_path, text, prices)
    assert found.near_hours == (3,) and min(hour.distance for hour in found.hours[1:]) > 10_000
    assert [hour.fall for hour in found.hours] == [0, 1_000, 3_000, 3_000, 3_000]
    assert any(line.startswith("Prices begin 2024-03-02T00:00Z: a fall within") for line in found.told)
    closed = read_story(tmp_path, "repayment,a,DAI,5000,2024-03-02T00:10Z,,\n", prices)
    assert closed.near_hours == (3,) and len(closed.hours) == 1


def test_a_book_begins_what_events_go_on_with(tmp_path) -> None:
    text = "deposit,a,WETH,1,2024-03-02T01:30Z,,\ndraw,b,DAI,100,2024-03-02T02:30Z,,\n"
    other = "deposit,b,WETH,8,2024-03-02T00:00Z,,\ndraw,b,DAI,5500,2024-03-02T00:00Z,,\n"
    whole = read_story(tmp_path, other + text)
    (tmp_path / "book.csv").write_text("owner,collateral,locked,debt\na,WETH,10,5000\nb,WETH,8,5500\n")
    book = backstop.read_book(tmp_path / "book.csv")
    (tmp_path / "later.csv").write_text(HEAD + text)
    prices = backstop.read_prices(tmp_path / "prices.csv")
    given: dict[str, Any] = {
        "ratios": {"WETH": "130%"}, "fixed": DOLLARS, "begin": "2024-03-02", "until": "2024-03-02T05:00Z"
    }  # fmt: skip
    later = backstop.read_owner_history(tmp_path / "later.csv", prices, book, **given)
    assert later.hours == whole.hours and later.owners == ("a", "b")
    again = backstop.read_owner_history(tmp_path / "story.csv", prices, book, **given)
    assert again.hours == whole.hours
    assert again.told[0] == "4 events until 2024-03-02T00:00Z, when the book was, are left out."


def test_events_may_say_what_is_left_instead_of_what_moved(tmp_path) -> None:
    """Balances after each event, interest included, under columns of the file's own."""
    (tmp_path / "prices.csv").write_text(PRICES)
    (tmp_path / "states.csv").write_text(
        "when,what,vault,who,coll,owed,ignored\n2024-03-02T00:00Z,open,1,x,10,5000,\n"
        "2024-03-02T01:30Z,pay,1,x,9,4000.5,7\n2024-03-02T03:30Z,bite,1,x,0,0,\n"
    )
    (tmp_path / "mine.yaml").write_text(
        "form: events\nsystem: maker\n"
        "columns: {time: when, kind: what, position: vault, account: who, "
        "locked_after: coll, debt_after: owed}\n"
        "fixed: {symbol: ETH-B, debt_symbol: DAI, debt_price: '1'}\n"
        "kinds: {open: draw, pay: repayment, bite: liquidation}\n"
    )
    prices = backstop.read_prices(tmp_path / "prices.csv", columns={"ETH-B": "WETH"})
    found = backstop.read_owner_history(
        tmp_path / "states.csv", prices, like=tmp_path / "mine.yaml", until="2024-03-02T05:00Z"
    )
    assert found.owners == ("x",) and found.liquidated == 1 and len(found.hours) == 4
    act = found.hours[1].act
    assert act is not None and (act.way, act.size) == ("sell", 999.5 / 5_000)
    assert found.told[-1] == "Liquidation ratio of ETH-B 130%."
    book = backstop.read_book(tmp_path / "states.csv", like=tmp_path / "mine.yaml", at="2024-03-02T02:00Z")
    assert [(each.owner, each.locked, each.debt) for _, each in book.rows] == [
        ("1", 9 * WAD, 40_005 * WAD // 10)
    ]


def test_accounts_of_several_tokens_are_left_out_and_counted(tmp_path) -> None:
    text = "".join(
        f"{what},2024-03-02T00:00Z,,\n"
        for what in ("deposit,c,WETH,5", "deposit,c,WBTC,1", "draw,c,DAI,3000")
    )
    prices = (
        PRICES.replace("WETH\n", "WETH,WBTC\n").replace("\n2024", ",1\n2024").replace("WBTC,1\n", "WBTC\n")
    )
    found = read_story(tmp_path, text, prices.rstrip("\n") + ",1\n", ratios={"WETH": "130%", "WBTC": "150%"})
    assert found.owners == ("a",)
    assert "1 accounts have several collaterals or debts, and are left out." in found.told


# -------------------------------------------------------------------- faults


@pytest.mark.parametrize(
    ("text", "given", "said"),
    [
        ("repay,a,DAI,1,2024-03-02T01:00Z,,\n", {}, "row 4, column kind: 'repay' is not one of: deposit, wi"),
        ("repayment,a,DAI,6000,2024-03-02T01:00Z,,\n", {}, "row 4, column amount: takes 6000 DAI from the d"),
        ("deposit,a,WETH,x,2024-03-02T01:00Z,,\n", {}, "story.csv: row 4, column amount: 'x' is not an amou"),
        ("", {"until": "2024-03-09"}, "prices.csv: has prices of 2024-03-01T00:00Z to 2024-03-02T23:00Z, no"),
        ("", {"begin": "2024-02-09"}, "prices.csv: has prices of 2024-03-01T00:00Z to 2024-03-02T23:00Z, no"),
        ("", {"begin": "2024-03-02T00:30Z"}, "from: '2024-03-02T00:30Z' is not a full hour: owners are look"),
        ("", {"begin": "then"}, "from: 'then' is not a time"),
        ("", {"begin": "2024-03-02T06:00Z"}, "story.csv: 2024-03-02T06:00Z to 2024-03-02T05:00Z has no full"),
        ("", {"ratios": {}}, "story.csv: WETH: has no liquidation ratio: give --ratio WETH=130%"),
        ("", {"ratios": {"WBTC": "130%"}}, "ratio: 'WBTC' is not a collateral of story.csv: WETH"),
        ("", {"ratios": {"WETH": "much"}}, "story.csv: WETH: 'much' is not a ratio; write e.g. '150%'"),
        ("", {"ratios": {"WETH": "100%"}}, "ratio: WETH: '100%' is not above 100%"),
        ("", {"fixed": None}, "story.csv: debts of DAI have no price: give --prices with a column of it, or"),
        ("", {"fixed": {"debt_price": "x"}}, "fixed: debt_price: 'x x' is not a ratio"),
        ("", {"floor": 10_000}, "story.csv: no vault owes 10000 dollars or more of 2024-03-02T00:00Z to 202"),
        ("deposit,b,STX,1,2024-03-02T01:00Z,,\n", {"ratios": {"WETH": "130%", "STX": "200%"}},
         "prices.csv: has no prices of STX; there are WETH"),
        ("", {"like": "maker"}, "like: 'maker' is of positions: name a mapping with `form: events`"),
        ("", {"columns": {"locked_after": "amount"}}, "story.csv: locked_after and debt_after belong togeth"),
        ("", {"like": "nowhere.yaml"}, "mapping 'nowhere.yaml' is unknown"),
    ],
)  # fmt: skip
def test_what_cannot_be_measured_is_one_line(tmp_path, text, given, said) -> None:
    with pytest.raises(BackstopError) as caught:
        read_story(tmp_path, text, **given)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_blocks_have_no_hours(tmp_path) -> None:
    (tmp_path / "prices.csv").write_text(PRICES)
    (tmp_path / "events.csv").write_text(HEAD + "deposit,a,WETH,1,14980000,,\n")
    with pytest.raises(BackstopError, match=r"events.csv: times are blocks, which have no hours: map `time`"):
        read_history(tmp_path)
    (tmp_path / "events.csv").write_text(HEAD)
    with pytest.raises(
        BackstopError, match=r"events.csv: has no events: write a row for each under the header"
    ):
        read_history(tmp_path)


def test_a_book_of_another_kind_is_refused(tmp_path) -> None:
    (tmp_path / "prices.csv").write_text(PRICES)
    prices = backstop.read_prices(tmp_path / "prices.csv")
    (tmp_path / "book.csv").write_text("owner,collateral,locked,debt\na,WETH,10,5000\na,WETH,8,5500\n")
    book = backstop.read_book(tmp_path / "book.csv")
    (tmp_path / "events.csv").write_text(HEAD + OPENING)
    with pytest.raises(
        TableFaultsError, match=r"book.csv: row 3: is the second position of a in WETH: map `pos"
    ):
        backstop.read_owner_history(
            tmp_path / "events.csv", prices, book, ratios=RATIOS, until="2024-03-02T05:00Z"
        )
    (tmp_path / "events.csv").write_text(HEAD + OPENING + "draw,b,USDC,1,2024-03-02T00:00Z,,\n")
    with pytest.raises(
        BackstopError, match=r"events.csv: debts are of DAI, USDC, those of book.csv of one token"
    ):
        backstop.read_owner_history(
            tmp_path / "events.csv", prices, book, ratios=RATIOS, until="2024-03-02T05:00Z"
        )


# ------------------------------------------------------------------ defaults


def test_what_the_events_do_not_tell_is_the_default(tmp_path) -> None:
    """One owner and one act: nothing but a chance at one distance has hours enough."""
    text = "".join(f"deposit,a,WETH,1,2024-03-02T{hour:02}:30Z,,\n" for hour in (1, 21))
    found = backstop.fit_owners([read_story(tmp_path, text, until="2024-03-02T22:00Z")], draws=40)
    default = read_owner_law()
    measured = [(each.name, each.of) for each in found.parameters if each.is_measured]
    assert measured == [("defend.chances", "40% to 80%"), ("release.chances", "40% to 80%")]
    assert found.law.defend == default.defend and found.law.release == default.release
    assert found.law.rates.idle == default.rates.idle and found.law.rates.factors == default.rates.factors
    assert len(found.unmeasured) == len(found.parameters) - 2
    text = found.to_yaml()
    assert "\n# Not measured, and the default: idle, defend.chances under 0%, " in text
    release = next(each for each in found.parameters if each.name == "release.chances" and each.is_measured)
    assert release.figure == (0.0, 0.0, round(3 / 20, 4)) and release.acts == 0


def test_a_section_is_written_as_it_is_read(tmp_path, fit: OwnerFit, small: OwnerFit) -> None:
    path = tmp_path / "owners.yaml"
    path.write_text(fit.to_yaml())
    law = read_owner_law(path)
    assert law.rates.chances == pytest.approx(fit.law.rates.chances, rel=1e-3)
    assert law.large_debt == 1_000_000 and law.rates.large == pytest.approx(fit.law.rates.large, rel=1e-3)
    assert sum(law.defend.ways) == pytest.approx(1) and law.defend.least == fit.law.defend.least
    again = tmp_path / "again.yaml"
    again.write_text(write_owner_section(law, ["mine"]))
    assert write_owner_section(read_owner_law(again), ["mine"]) == again.read_text()
    assert again.read_text().startswith("# mine\nowners:\n  every: 1 h\n")
    other = backstop.fit_owners(small.histories, draws=40, large_debt=10**9, default=law)
    assert other.quality.default > small.quality.default + 1


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("every: 1 h", "every: 2 h", "owners.yaml:9: owners.every: '2 h' is not 1 h, over which is measured"),
        ("within: 24 h", "within: 12 h", "owners.defend.within: '12 h' is not 24 h, over which is measured"),
        (
            "[0%, 2%, 5%,",
            "[0%, 3%, 5%,",
            "owners.defend.distances: are not those that are measured: 0%, 2%, 5%",
        ),
        (
            "[20%, 40%, 80%]",
            "[20%, 40%]",
            "owners.release.chances: has 4 chances, and 2 distances divide into 3",
        ),
        ("  release:", "  releases:", "owners.releases: unknown field; known here: every, idle, defend, rel"),
        ("idle: ", "idle: 10", "%' is too high: the most is 1000000000 (as stored)"),
    ],
)
def test_a_default_of_another_form_is_one_line(tmp_path, old, new, said) -> None:
    text = DEFAULTS.read_text()
    assert old in text
    (tmp_path / "owners.yaml").write_text(text.replace(old, new))
    with pytest.raises(BackstopError) as caught:
        read_owner_law(tmp_path / "owners.yaml")
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_shares_add_up_and_have_four_digits() -> None:
    assert split_whole((1 / 3, 1 / 3, 1 / 3)) == [334, 333, 333]
    assert split_whole((0.9996, 0.0004, 0.0)) == [1_000, 0, 0]
    assert [format_share(each) for each in (0.118349, 1.5, 0.0, 0.00000123456)] == [
        "11.83%", "100%", "0%", "0.0001235%"
    ]  # fmt: skip


# ------------------------------------------------------------- the same again


def test_one_seed_has_one_result(small: OwnerFit) -> None:
    again = backstop.fit_owners(small.histories, draws=40, large_debt=10**9)
    assert again.to_summary() == small.to_summary() and again.to_yaml() == small.to_yaml()
    other = backstop.fit_owners(small.histories, draws=40, large_debt=10**9, seed=2)
    assert other.to_frame()["value"].equals(small.to_frame()["value"])
    assert not other.to_frame()["low"].equals(small.to_frame()["low"])


def test_histories_add_up(small: OwnerFit) -> None:
    """Twice the same owners are other owners: the same figures of twice the counts."""
    twice = backstop.fit_owners((*small.histories, *small.histories), draws=40, large_debt=10**9)
    one, both = small.to_frame(), twice.to_frame()
    assert (both["measured_on"] == 2 * one["measured_on"]).all() and (both["acts"] == 2 * one["acts"]).all()
    rates = both["parameter"].isin(["idle", "defend.chances", "release.chances"])
    assert both["value"][rates].tolist() == pytest.approx(one["value"][rates].tolist(), rel=2e-3)
    with pytest.raises(BackstopError, match="histories: are missing"):
        backstop.fit_owners([])
    with pytest.raises(BackstopError, match="draws: 39 are too few for an interval: give 40 or more"):
        backstop.fit_owners(small.histories, draws=39)


# --------------------------------------------------------------- the command


def test_the_page_and_the_default_are_what_the_command_finds(tmp_path) -> None:
    """The package's own law is that of the page's example, to the byte."""
    page = (ROOT / "docs" / "how-to" / "owners.md").read_text()
    line = next(each for each in page.splitlines() if "backstop fit-owners" in each)
    args = line.partition("fit-owners ")[2].partition(" --out")[0].replace("runs/", f"{SAMPLES}/").split()
    result = CliRunner(mix_stderr=False).invoke(cli, [*args, "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.stderr
    shown = page.partition(f"{line}\n")[2].partition("```")[0].splitlines()
    printed = result.stdout.replace(str(tmp_path / "out"), "runs/owners").splitlines()
    assert [each.rstrip() for each in printed] == [each.rstrip() for each in shown] and len(shown) > 50
    found, default = ((tmp_path / "out" / "owners.yaml").read_text(), DEFAULTS.read_text())
    assert found.partition("\nowners:")[2] == default.partition("\nowners:")[2]


def invoke(folder: Path, *args: str):
    given = ["--events", f"{folder}/story.csv", "--prices", f"{folder}/prices.csv", "--fixed", "debt_price=1"]
    given += ["--ratio", "WETH=130%", "--until", "2024-03-02T05:00Z", "--draws", "40"]
    return CliRunner(mix_stderr=False).invoke(cli, [*given, "--out", str(folder / "out"), *args])


def test_the_command_writes_what_it_prints(tmp_path) -> None:
    read_story(tmp_path, "deposit,a,WETH,1,2024-03-02T01:30Z,,\n")
    first = invoke(tmp_path)
    assert first.exit_code == 0, first.stderr
    assert (
        "story.csv: 1 vaults of 1 owners, 5 hours of vaults, 0 of them under the liquidation" in first.stdout
    )
    out = tmp_path / "out"
    assert first.stdout.splitlines()[-2:] == [str(out / "owners.yaml"), str(out / "summary.json")]
    summary = json.loads((out / "summary.json").read_text())
    with (out / "parameters.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["parameter"] for row in rows] == [each["name"] for each in summary["parameters"]]
    assert summary["histories"][0]["vault_hours"] == 5 and summary["histories"][0]["defences"] == 1
    assert read_owner_law(out / "owners.yaml").rates.idle == read_owner_law().rates.idle
    again = invoke(tmp_path)
    assert again.stdout == first.stdout and "was there already" in again.stderr
    printed = invoke(tmp_path, "--json")
    assert json.loads(printed.stdout) == summary
    refused = invoke(tmp_path, "--seed", "2")
    assert refused.exit_code == 1 and "--fresh" in refused.stderr


def test_each_file_of_events_has_its_own_period(tmp_path) -> None:
    read_story(tmp_path, "deposit,a,WETH,1,2024-03-02T01:30Z,,\n")
    more = ("--events", f"{tmp_path}/story.csv", "--until", "2024-03-02T03:00Z")
    found = invoke(tmp_path, *more, "--json")
    assert found.exit_code == 0, found.stderr
    assert [each["vault_hours"] for each in json.loads(found.stdout)["histories"]] == [5, 3]
    refused = invoke(tmp_path, "--until", "2024-03-02T03:00Z")
    assert refused.exit_code == 1
    assert refused.stderr == "Error: --until: given 2 times; expected 1 or 1, the number of --events\n"


def test_faults_are_written_where_that_is_asked(tmp_path) -> None:
    read_story(tmp_path, "")
    (tmp_path / "story.csv").write_text(
        HEAD + OPENING + "".join("deposit,a,WETH,x,2024-03-02,,\n" for _ in range(5))
    )
    refused = invoke(tmp_path, "--faults", str(tmp_path / "faults.csv"))
    assert (
        refused.exit_code == 1 and refused.stderr.count("\n") == 1 and "and 2 more faults" in refused.stderr
    )
    assert len((tmp_path / "faults.csv").read_text().splitlines()) == 6 and not (tmp_path / "out").exists()
