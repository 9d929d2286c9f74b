"""The tutorial of a decision memo: its files are copied, its commands print the page's output."""

from __future__ import annotations

import csv
import re
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from backstop.cli.import_book import cli as import_book
from backstop.cli.samples import cli as samples
from backstop.files.installation import SAMPLES
from tests.support.checkout_paths import ROOT
from tests.support.page_commands import (
    cut_output_like_block,
    list_page_blocks,
    run_and_save_page,
)

PAGE = ROOT / "docs" / "tutorials" / "memo.md"
FILES = SAMPLES / "june-2022"
AMOUNT = re.compile(r"\d{1,3}(?:,\d{3})+|\d+\.\d+%")
PARAMETERS = {"1,789", "1,032"}
"""Prices of the first sentence: the first, and the lowest, of prices.csv."""


def invoke(command, *given: str | Path):
    return CliRunner(mix_stderr=False).invoke(command, list(map(str, given)))


def read_rows(name: str) -> list[dict[str, str]]:
    with (FILES / name).open() as file:
        return list(csv.DictReader(file))


def split_page() -> tuple[str, str]:
    """Return the page's prose, and its blocks."""
    text = PAGE.read_text()
    blocks = re.findall(r"^```.*?^```$", text, re.MULTILINE | re.DOTALL)
    for block in blocks:
        text = text.replace(block, "")
    return text, "\n".join(blocks)


def test_samples_are_copied_and_shown_again(tmp_path: Path) -> None:
    first = invoke(samples, "june-2022", "--out", tmp_path / "a")
    assert first.exit_code == 0, first.stderr
    copied = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir() if path.name != "made.json"}
    assert copied == {path.name: path.read_bytes() for path in FILES.iterdir()}
    (tmp_path / "a" / "study.yaml").write_text("mine")
    again = invoke(samples, "june-2022", "--out", tmp_path / "a")
    assert again.stdout == first.stdout and "was there already" in again.stderr
    assert (tmp_path / "a" / "study.yaml").read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "out", "told"),
    [
        ("july", "a", "NAME: 'july' is unknown; expected one of january-2022, june-2022"),
        ("positions.csv", "a", "NAME: 'positions.csv' is unknown; expected one of "),
        ("../samples", "a", "NAME: '../samples' is unknown; expected one of "),
        ("june-2022", "taken", "is not empty, and nothing that Backstop made"),
        ("june-2022", "file", "is a file"),
    ],
)
def test_what_cannot_be_copied_is_one_line(tmp_path: Path, name: str, out: str, told: str) -> None:
    (tmp_path / "taken").mkdir()
    for mine in ("taken/notes.txt", "file"):
        (tmp_path / mine).write_text("mine")
    refused = invoke(samples, name, "--out", tmp_path / out)
    assert refused.exit_code != 0 and told in refused.stderr and "Traceback" not in refused.stderr
    assert not (tmp_path / "a").exists() and (tmp_path / "taken" / "notes.txt").read_text() == "mine"


def test_the_book_is_that_of_the_day() -> None:
    """Facts of the source, which no command prints."""
    book = read_rows("positions.csv")
    live = [row for row in book if Decimal(row["debt"]) >= 40_000]
    assert (len(book), len(live)) == (95, 80)
    assert sum(Decimal(row["debt"]) for row in live) == Decimal("66898137.13")
    moves = read_rows("moves.csv")
    assert [row["owner"] for row in moves] == [row["owner"] for row in book]
    gone = [Decimal(row["liquidated"]) for row in moves if row["liquidated"] != "0.00"]
    assert (len(gone), round(sum(gone))) == (10, 12_909_533)
    prices = [Decimal(row["ETH"]) for row in read_rows("prices.csv")]
    assert len(prices) == 7 * 24 + 1 and (round(prices[0]), round(min(prices), 1)) == (
        1789,
        Decimal("1031.3"),
    )


def test_the_false_print_is_met(tmp_path: Path) -> None:
    given = ("--book", FILES / "positions.csv", "--prices", FILES / "prices.csv", "--asset", "ETH-B=ETH")
    refused = invoke(import_book, *given, "--out", tmp_path / "a")
    assert refused.exit_code == 1 and refused.stderr.count("\n") == 1
    assert refused.stderr in PAGE.read_text() and "2022-06-13T04:00Z" in refused.stderr


def test_the_page_shows_the_files(tmp_path: Path) -> None:
    text = PAGE.read_text()
    for name in ("week.yaml", "study.yaml", "study-proposal.yaml", "ratio.yaml"):
        assert f"```yaml\n{(FILES / name).read_text()}```" in text
    (opened,) = (row["ETH"] for row in read_rows("prices.csv")[:1])
    model = yaml.safe_load((FILES / "study.yaml").read_text())["prices"]["ETH-B"]["model"]
    assert model["start"] == f"{opened} USD"


def test_figures_of_the_text_are_of_its_outputs() -> None:
    prose, blocks = split_page()
    figures = set(AMOUNT.findall(prose)) - PARAMETERS
    shown = {each.replace("−", "") for each in AMOUNT.findall(blocks)}
    shown |= {f"{int(each):,}" for each in re.findall(r"\b\d{4,}\b", blocks)}
    shown |= {f"{int(each.replace('_', '')):,}" for each in re.findall(r"\d+(?:_\d{3})+", blocks)}
    shown |= {f"{int(each):,}" for each in re.findall(r"--\w+ (\d{4,})", blocks)}
    shown |= {f"{round(Decimal(each)):,}" for each in re.findall(r"\b\d{4,}\.\d+", blocks)}
    assert len(figures) > 30 and figures - shown == set()


def test_a_page_is_written_anew(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    command = "python -c 'print(1); print(2); print(3)'"
    page.write_text(f"# A\n\n```text\n$ {command}\n1\n9\n...\n```\n\n```text\n$ {command}\n```\n")
    run_and_save_page(page)
    expected = f"# A\n\n```text\n$ {command}\n1\n2\n...\n```\n\n```text\n$ {command}\n1\n2\n3\n```\n"
    assert page.read_text() == expected
    assert [shown for _, shown in list_page_blocks(expected)] == ["1\n2\n...\n", "1\n2\n3\n"]
    assert cut_output_like_block("1\n2\n", "1\n") == "1\n2\n"
