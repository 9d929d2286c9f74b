"""Named shocks: changes of a scenario's file that are laid over it before it is read."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from backstop.simulation.scenario.yaml_document import Field, merge_documents, read_document

LIBRARY = Path(__file__).with_name("shocks.yaml")


@cache
def load_shock_library() -> dict[str, Field]:
    """Read all shocks of the library, by name."""
    return read_document(LIBRARY).read_entries()


def apply_shocks(top: Field) -> Field:
    """Lay the shocks that a scenario's file names over it, the last over those before."""
    named = top.read_entries().get("shocks")
    if named is None:
        return top
    rest = {name: entry for name, entry in top.read_entries().items() if name != "shocks"}
    changed = Field(top.file, top.line, top.path, rest)
    for item in named.read_items():
        if item.text not in load_shock_library():
            item.raise_error(f"{item.text!r} is not one of: {', '.join(load_shock_library())}")
        shock = load_shock_library()[item.text].read_section(("title",), ("models", "vault_book", "markets"))
        if "models" in shock:
            changed = _apply_to_models(changed, shock["models"], item)
        if "vault_book" in shock:
            book = Field(item.file, item.line, "", {"vault_book": shock["vault_book"]})
            changed = merge_documents(changed, book)
        if "markets" in shock:
            changed = _apply_to_markets(changed, shock["markets"], item)
    return changed


def _apply_to_models(top: Field, models: Field, item: Field) -> Field:
    """Shock each price by its own symbol, or by the coin that its model is `like`."""
    touched = False
    for symbol, price in _get_section_entries(top, "prices").items():
        model = price.read_entries().get("model") if isinstance(price.value, dict) else None
        if model is None:
            continue
        like = model.read_entries().get("like")
        change = models.read_entries().get(symbol if like is None else like.text)
        if change is not None:
            model.value = merge_documents(model, change).read_entries()
            touched = True
    if not touched:
        item.raise_error(
            f"{item.text!r} touches no price of this scenario: it is for {', '.join(models.read_entries())}"
        )
    return top


def _apply_to_markets(top: Field, change: Field, item: Field) -> Field:
    """Make all markets as deep as the debt asks for."""
    for market in _get_section_entries(top, "markets").values():
        entries = {name: entry for name, entry in market.read_entries().items() if name != "depth"}
        market.value = entries | change.read_entries()
    return top


def _get_section_entries(top: Field, name: str) -> dict[str, Field]:
    section = top.read_entries().get(name)
    return {} if section is None else section.read_entries()
