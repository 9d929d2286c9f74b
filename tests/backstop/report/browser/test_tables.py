"""A reader's actions on the tables of a page, by keyboard and on a telephone."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from typing import Any

import pytest

from backstop.report.run_page import write_page
from tests.support import handmade_page_runs
from tests.support.browser_user import run_visits

BRIEF = "tests/backstop/report/browser/test_report.py::test_opens_without_an_error_and_without_a_request"
pytestmark = [pytest.mark.browser, pytest.mark.deep(brief=BRIEF)]

# Rows of the auctions that are shown, by their first cell, in the order in which they stand.
SHOWN = (
    "[...document.querySelectorAll('#lots tbody tr:not([hidden])')].map((row) => row.cells[0].textContent)"
)
FOCUS = "document.activeElement.closest('tr')?.id ?? document.activeElement.className"
TIP = "document.getElementById('tip').hidden ? '' : document.getElementById('tip').textContent"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a page of 30 auctions; those with even numbers have a type called `</script>`."""
    return str(
        write_page(
            handmade_page_runs.build_handmade_crash_run(), tmp_path_factory.mktemp("tables") / "report.html"
        )
    )


def taken(page: str, *steps: dict[str, Any], **visit: Any) -> list[Any]:
    (seen,) = run_visits([{"page": page, "steps": list(steps), **visit}])
    assert seen["problems"] == []
    gave: list[Any] = seen["gave"]
    return gave


def test_a_column_sorts_by_its_exact_figures_and_back(page: str) -> None:
    debt = "document.querySelectorAll('#lots .sort')[4]"
    enter = {"press": "Enter"}
    start, _, _, falling, _, rising, _, again, sort = taken(
        page,
        {"read": SHOWN},
        {"read": f"{debt}.focus()"},
        *(enter, {"read": SHOWN}) * 3,
        {"read": f"{debt}.closest('th').getAttribute('aria-sort')"},
    )
    assert start == again == [str(i) for i in range(1, 13)]
    assert falling == [str(i) for i in range(30, 18, -1)] and rising == start
    assert sort == "none"


def test_rows_are_found_by_words_choices_and_bounds(page: str) -> None:
    lots = "document.querySelector('#lots table')"
    search = [
        {"read": f"{lots}.search('{text}')"} for text in ("auction:29", "lost>850", "END:open", "nothing-has")
    ]
    found = taken(page, *(step for each in search for step in (each, {"read": SHOWN})))
    assert found[1::2] == [["29"], ["1", "2", "3"], ["30"], []]
    chosen = taken(
        page,
        {"click": "#lots select[aria-label^=Collateral]"},
        {"press": "ArrowDown"},
        {"press": "Enter"},
        {"read": SHOWN},
        {"read": "document.querySelector('#lots .count').textContent"},
    )
    assert chosen[3] == [*(str(i) for i in range(2, 21, 2)), "30", "28"]
    assert chosen[4] == "12 of 30 rows"


def test_a_file_has_all_digits_and_no_formula(page: str) -> None:
    (saved,) = taken(page, {"save": "#lots .csv"})
    rows = list(csv.DictReader(io.StringIO(saved["text"])))
    assert saved["name"] == "the-costliest-auctions.csv"
    assert [row["Auction"] for row in rows] == [str(i) for i in range(1, 13)]
    assert Decimal(rows[1]["Debt"]) == 10_001 and Decimal(rows[1]["Lost"]) == 950
    assert rows[1]["Collateral"] == "</script>" and rows[1]["Owner"] == f"0x{1:040x}"
    assert rows[1]["Started"] == "2020-03-12T00:05:00Z"
    keepers = "#keepers tbody th"
    (_, saved) = taken(
        page,
        {"read": f"document.querySelector('{keepers}').firstChild.data = '=1+1'"},
        {"save": "#keepers .csv"},
    )
    assert next(csv.DictReader(io.StringIO(saved["text"])))["Keeper"] == "'=1+1"


def test_an_address_leads_to_its_row_even_where_it_is_not_shown(page: str) -> None:
    focus, shown, marked = taken(
        page,
        {"read": FOCUS},
        {"read": SHOWN},
        {"read": "document.querySelector('.found').id"},
        hash="#auction-29",
    )
    assert focus == marked == "auction-29"
    assert len(shown) == 30


def test_arrows_lead_from_figure_to_figure_and_show_their_digits(page: str) -> None:
    right, down, tip = {"press": "ArrowRight"}, {"press": "ArrowDown"}, {"read": TIP}
    stops = {"read": "document.querySelectorAll('#keepers tbody [tabindex=\"0\"]').length"}
    seen = taken(
        page, right, tip, right, tip, down, tip, {"press": "Escape"}, tip, stops, hash="#keepers-idle"
    )
    assert seen[1::2][:4] == ["31", "0", "\u221231.000000000000000005", ""]
    assert seen[-1] == 1  # the Tab key stops once in a table


def test_a_tap_shows_all_digits_and_the_order_is_chosen_from_a_list(page: str) -> None:
    seen = taken(
        page,
        {"click": "#losses .ledger data"},
        {"read": TIP},
        {"read": "getComputedStyle(document.querySelector('#lots .sortby')).display"},
        {
            "read": "(() => { const list = document.querySelector('#lots .sortby'); list.value = '4 1';"
            " list.dispatchEvent(new Event('change')); })()"
        },
        {"read": SHOWN},
        width=360,
    )
    assert seen[1] == "5,672,123.000000000000000000000000000000000000000000001"
    assert seen[2] == "block"
    assert seen[4][0] == "30"


def test_axe_finds_no_fault(page: str) -> None:
    checked = run_visits(
        [
            {"page": page, "width": width, "scheme": scheme, "steps": [{"axe": True}]}
            for width in (360, 768, 1400, 2560)
            for scheme in ("light", "dark")
        ]
    )
    for visit in checked:
        assert visit["gave"] == [[]] and visit["problems"] == [], (visit["width"], visit["scheme"])
