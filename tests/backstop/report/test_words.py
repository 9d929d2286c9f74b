"""Coined words: pages explain them as the glossary does, and count them in the right number."""

from __future__ import annotations

import json
import re

import pytest

from backstop.report.exact_amount_markup import choose_noun_form, render_count
from backstop.report.rendering import TEMPLATES
from tests.support.checkout_paths import ROOT

WORDS = json.loads((TEMPLATES / "words.json").read_text())
GLOSSARY = (ROOT / "docs" / "reference" / "glossary.md").read_text()


def remove_markup(text: str) -> str:
    """Return a glossary's entry as a page shows it: without code marks, links, and the link to its page."""
    text = re.sub(r" See \[[^]]*\]\([^)]*\)\.$", "", text)
    return re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text).replace("`", "")


def test_each_text_is_the_glossarys() -> None:
    entries = dict(re.findall(r"^\*\*(.+?)\.\*\* (.+)$", GLOSSARY, re.MULTILINE))
    assert len(WORDS) > 40
    for entry, word in WORDS.items():
        assert word["text"] == remove_markup(entries[entry]), f"{entry}: words.json and glossary differ"


def test_a_form_belongs_to_one_word() -> None:
    forms = [form for word in WORDS.values() for form in word["forms"]]
    assert len(forms) == len(set(forms)) and all(form == form.lower() for form in forms)


@pytest.mark.parametrize(
    ("noun", "several"),
    [("run", "runs"), ("search", "searches"), ("study", "studies"), ("way", "ways"), ("guards", "guards")],
)
def test_nouns_have_the_number_of_their_count(noun: str, several: str) -> None:
    assert [choose_noun_form(count, noun) for count in (0, 1, 2)] == [several, noun, several]
    assert str(render_count(1_000, noun)) == f'<data value="1000" data-unit="count">1,000</data> {several}'
