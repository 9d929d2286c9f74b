"""Events of accounts become positions at a time or a block: exact, in order, never below nothing."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

import backstop
from backstop.cli.import_book import cli
from backstop.errors import BackstopError
from backstop.model.arithmetic import RAY, WAD
from backstop.simulation.sources.book_reader import VaultBook
from backstop.simulation.sources.table_reader import TableFaultsError
from tests.support.checkout_paths import ROOT

HEAD = "kind,account,symbol,amount,time,debt_symbol,debt_amount\n"
STORY = (
    "deposit,a,WETH,10,2022-06-17T00:00Z,,\n"
    "draw,a,DAI,5000,2022-06-17T01:00Z,,\n"
    "deposit,b,WBTC,2,2022-06-17T02:00Z,,\n"
    "draw,b,DAI,20000.000000000000000001,2022-06-17T02:00Z,,\n"
    "repayment,a,DAI,1000,2022-06-17T05:00Z,,\n"
    "withdrawal,a,WETH,1.5,2022-06-17T06:00Z,,\n"
    "liquidation,b,WBTC,0.75,2022-06-18T00:00Z,DAI,12000\n"
    "deposit,c,WETH,1,2022-06-18T01:00Z,,\n"
    "draw,a,DAI,1,2022-06-19T00:00Z,,\n"
)
DOLLARS = {"debt_price": "1"}


def read_events(folder: Path, text: str, at: str | int | None = None, **given) -> VaultBook:
    path = folder / "events.csv"
    path.write_text(HEAD + text)
    return backstop.read_book(path, **{"like": "events", "fixed": DOLLARS, "at": at, **given})


def list_vaults(book: VaultBook) -> list[tuple]:
    return [(each.owner, each.symbol, each.locked, each.debt) for _, each in book.rows]


def test_positions_are_the_sums_of_events_until_a_time(tmp_path) -> None:
    """An event of the very time counts; one a minute later does not."""
    a = ("a", "WETH", 17 * WAD // 2, 4_000 * WAD)
    book = read_events(tmp_path, STORY, "2022-06-18T00:00Z")
    assert list_vaults(book) == [a, ("b", "WBTC", 125 * WAD // 100, 8_000 * WAD + 1)]
    assert book.told == (
        "7 events until 2022-06-18T00:00Z are added up, the last of 2022-06-18T00:00Z; 2 later ones are left "
        "out.",
    )
    earlier = read_events(tmp_path, STORY, "2022-06-17T23:59Z")
    assert list_vaults(earlier) == [a, ("b", "WBTC", 2 * WAD, 20_000 * WAD + 1)]
    whole = read_events(tmp_path, STORY)
    assert [debt for *_, debt in list_vaults(whole)] == [4_001 * WAD, 8_000 * WAD + 1, 0]
    assert whole.told[0] == "9 events until 2022-06-19T00:00Z are added up, the last of 2022-06-19T00:00Z."
    assert whole.read_columns == tuple(HEAD.strip().split(",")) and whole.ignored_columns == ()


def test_blocks_order_events_as_times_do(tmp_path) -> None:
    text = "deposit,a,WETH,10,14980000,,\ndraw,a,DAI,5000,14980001,,\ndraw,a,DAI,7,14980002,,\n"
    book = read_events(tmp_path, text, 14_980_001)
    assert list_vaults(book) == [("a", "WETH", 10 * WAD, 5_000 * WAD)]
    assert book.told[0].startswith("2 events until block 14,980,001 are added up")
    with pytest.raises(
        TableFaultsError, match="'14980000' is a block, where a time is expected: give one of"
    ):
        read_events(tmp_path, text, "2022-06-18")
    with pytest.raises(
        TableFaultsError, match=r"row 2, column time: '2022-06-17T00:00Z' is a time, where a bl"
    ):
        read_events(tmp_path, STORY, 14_980_000)


def test_an_account_with_several_tokens_is_one_account(tmp_path) -> None:
    """Its debts are priced by the history, and split over its collateral as those of any account."""
    text = (
        "deposit,a,WETH,10,1655424000,,\ndeposit,a,WBTC,1,1655424000,,\n"
        "draw,a,DAI,9000,1655424060,,\ndraw,a,WETH,1,1655424120,,\n"
    )
    prices = {"WETH": 1_000 * RAY, "WBTC": 20_000 * RAY, "DAI": RAY}
    book = read_events(tmp_path, text, fixed=None, prices=prices)
    assert book.has_accounts
    assert book.debt == 10_000 * WAD
    assert {name: each.debt for name, each in book.assets.items()} == {
        "WETH": "", "WBTC": "", "WETH-WETH": "WETH", "WBTC-WETH": "WETH"
    }  # fmt: skip
    assert sum(each.locked for _, each in book.rows if each.symbol.startswith("WBTC")) == WAD
    with pytest.raises(
        TableFaultsError, match=r"row 4: debts of DAI have no price: give --prices with a colu"
    ):
        read_events(tmp_path, text, fixed=None, prices={"WETH": RAY, "WBTC": RAY})


def test_a_mapping_names_kinds_columns_and_units(tmp_path) -> None:
    """As logs of a pool have them: words of its own, integers of each token's unit."""
    mine = tmp_path / "mine.yaml"
    mine.write_text(
        "form: events\nsystem: aave\n"
        "columns: {kind: event, account: user, symbol: token, amount: raw, time: block,\n"
        "          debt_symbol: debt_token, debt_amount: debt_raw}\n"
        "decimals: {amount: decimals, debt_amount: 6}\n"
        "kinds: {Supply: deposit, Borrow: draw, LiquidationCall: liquidation}\n"
        "only: {event: [Supply, Borrow, LiquidationCall]}\n"
        "rename: {USD₮: USDT}\n"
    )
    rows = [
        ("Supply", "a", "WBTC", 200_000_000, 8, 10, "", ""),
        ("Borrow", "a", "USD₮", 30_000_000_001, 6, 11, "", ""),
        ("Swap", "a", "", "", "", 12, "", ""),
        ("LiquidationCall", "a", "WBTC", 50_000_001, 8, 12, "USD₮", 10_000_000_000),
    ]
    columns = ["event", "user", "token", "raw", "decimals", "block", "debt_token", "debt_raw"]
    frame = pd.DataFrame(rows, columns=columns, dtype=object)
    book = backstop.read_book(frame, like=mine, prices={"USDT": RAY, "WBTC": 20_000 * RAY})
    assert list_vaults(book) == [("a", "WBTC", 149_999_999 * 10**10, 20_000_000_001 * 10**12)]
    assert book.decimals == {"WBTC": 8} and book.system == "aave"


def test_floats_are_rounded_against_the_account(tmp_path) -> None:
    rows = [
        ("deposit", "a", "WETH", 1 + 1e-15, 10),
        ("deposit", "a", "WETH", 1e-19, 10),
        ("withdrawal", "a", "WETH", 1e-19, 10),
        ("draw", "a", "DAI", 1e-19, 11),
        ("draw", "a", "DAI", 5.0, 11),
        ("repayment", "a", "DAI", 1e-19, 12),
    ]
    frame = pd.DataFrame(rows, columns=["kind", "account", "symbol", "amount", "time"])
    with pytest.raises(TableFaultsError, match="is a float: give text or integers, or give --floats"):
        backstop.read_book(frame, like="events", fixed=DOLLARS)
    book = backstop.read_book(frame, like="events", fixed=DOLLARS, floats=True)
    assert list_vaults(book) == [("a", "WETH", WAD + 1_000 - 1, 5 * WAD + 1)]
    assert book.told[1].startswith("4 amounts had more than 18 digits behind the point")


def test_a_float_that_is_taken_back_leaves_nothing(tmp_path) -> None:
    """19 digits: the deposit is rounded down and the withdrawal up, which is no balance below zero."""
    amount = 0.0012345678901234567
    rows = [("deposit", "a", "WETH", amount, 10), ("withdrawal", "a", "WETH", amount, 11)]
    rows += [("deposit", "a", "WBTC", 1.0, 12), ("draw", "a", "DAI", 5.0, 12)]
    frame = pd.DataFrame(rows, columns=["kind", "account", "symbol", "amount", "time"])
    book = backstop.read_book(frame, like="events", fixed=DOLLARS, floats=True)
    assert list_vaults(book) == [("a", "WBTC", WAD, 5 * WAD)]


def test_tokens_have_one_number_of_decimals_and_faults_are_said_once(tmp_path) -> None:
    rows = [
        ("deposit", "a", "WBTC", 1, 8, 10),
        ("deposit", "a", "WBTC", 1, 18, 11),
        ("deposit", "", "X", 1, "?", 12),
    ]
    frame = pd.DataFrame(rows, columns=["kind", "account", "symbol", "amount", "d", "time"], dtype=object)
    with pytest.raises(TableFaultsError) as caught:
        backstop.read_book(frame, like="events", fixed=DOLLARS, decimals={"amount": "d"})
    assert [str(each) for each in caught.value.faults] == [
        "row 2, column symbol: WBTC has 18 decimals here and 8 before: mend one",
        "row 3, column account: is empty: name the account",
        "row 3, column d: '?' is not a number of decimals: write e.g. '18'",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("deposit,a,WETH,1,10,,\nwithdrawal,a,WETH,1.5,11,,\n",
         "events.csv: row 3, column amount: takes 1.5 WETH from the collateral of a, which is 1: add the ev"),
        ("draw,a,DAI,1,10,,\nrepayment,a,DAI,2,11,,\n",
         "row 3, column amount: takes 2 DAI from the debt of a, which is 1: add interest as draws, or the e"),
        ("repayment,b,DAI,2,11,,\n", "row 2, column amount: takes 2 DAI from the debt of b, which is 0: add"),
        ("deposit,a,WETH,1,10,,\ndraw,a,DAI,1,10,,\nliquidation,a,WETH,1,10,DAI,2\n",
         "row 4, column debt_amount: takes 2 DAI from the debt of a, which is 1: add interest as draws, or"),
        ("deposit,a,WETH,1,11,,\ndeposit,a,WETH,1,10,,\n",
         "row 3, column time: '10' is before the time of row 2: sort the events as they happened"),
        ("supply,a,WETH,1,10,,\n", "row 2, column kind: 'supply' is not one of: deposit, withdrawal, draw,"),
        ("Deposit,a,WETH,1,10,,\n", "row 2, column kind: 'Deposit' is not one of: deposit, withdrawal, draw"),
        ("deposit,,WETH,1,10,,\n", "row 2, column account: is empty: name the account"),
        ("deposit,a,,1,10,,\n", "row 2, column symbol: is empty: name the token"),
        ("deposit,a,WETH,-1,10,,\n", "row 2, column amount: '-1' is negative"),
        ("deposit,a,WETH,x,10,,\n", "row 2, column amount: 'x' is not an amount; write e.g. '12.5'"),
        ("deposit,a,WETH,1,yesterday,,\n", "row 2, column time: 'yesterday' is not a time: write e.g. '2024"),
        ("deposit,a,WETH,1,10,,\ndeposit,a,WETH,1,2022-06-17,,\n",
         "row 3, column time: '2022-06-17' is a time, where a block is expected: give one of the two"),
        ("deposit,a,WETH,1,10,DAI,7\n", "row 2, column debt_amount: is of liquidations alone, and this is a"),
        ("liquidation,a,WETH,1,10,,\n", "row 2, column debt_symbol: is empty: name the token; row 2, column"),
        ("", "events.csv: has no events"),
        ("deposit,a,WETH,1,10,,\nwithdrawal,a,WETH,1,11,,\n", "events.csv: has no positions: write a row fo"),
    ],
)  # fmt: skip
def test_a_malformed_event_is_one_line(tmp_path, text, said) -> None:
    with pytest.raises(BackstopError) as caught:
        read_events(tmp_path, text)
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"at": "2022-06-01"}, "events.csv: has no events until 2022-06-01: give a later --at"),
        ({"at": "then"}, "at: 'then' is not a time: write e.g. '2024-03-12T00:00Z' or '1710201600'"),
        ({"bad_rows": "drop"}, "bad_rows: 'drop': no event may be left out: a balance is the sum of all of"),
        ({"accounts": "apart"}, "accounts: 'apart': an event is of an account, whose tokens belong together"),
        ({"columns": {"locked": "amount"}}, "columns: 'locked' is not one of: kind, account, symbol, amount"),
        ({"decimals": {"locked": 8}}, "decimals: 'locked' is not one of: amount, debt_amount"),
        ({"like": None}, "the columns are missing: 'owner', 'collateral', 'locked', 'debt'; there are kind"),
    ],
)  # fmt: skip
def test_what_does_not_fit_events_is_one_line(tmp_path, given, said) -> None:
    with pytest.raises(BackstopError) as caught:
        read_events(tmp_path, STORY, **given)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_what_is_of_events_alone_is_refused_elsewhere(tmp_path) -> None:
    (tmp_path / "book.csv").write_text("owner,collateral,locked,debt\na,ETH,1,1\n")
    with pytest.raises(BackstopError, match=r"^at: is for events: give --like events, or a mapping with"):
        backstop.read_book(tmp_path / "book.csv", at="2022-06-18")
    (tmp_path / "mine.yaml").write_text("kinds: {Supply: deposit}\n")
    with pytest.raises(
        BackstopError, match=r"^mine.yaml:1: kinds: is not of a mapping of the form 'positions'"
    ):
        backstop.read_book(tmp_path / "book.csv", like=tmp_path / "mine.yaml")


def test_the_page_says_what_the_command_prints_of_events(tmp_path) -> None:
    page = (ROOT / "docs" / "how-to" / "own-data.md").read_text().partition("## Events")[2]
    line = next(each for each in page.splitlines() if "ape run import" in each)
    args = line.partition("run import ")[2].partition(" --out")[0].replace("docs/", f"{ROOT}/docs/").split()
    result = CliRunner(mix_stderr=False).invoke(cli, [*args, "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.stderr
    said = page.partition("```text\n")[2].partition("```")[0].splitlines()
    assert result.stdout.splitlines()[: len(said)] == said and len(said) > 3
