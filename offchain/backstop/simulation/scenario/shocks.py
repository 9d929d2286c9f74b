"""Named shocks: changes of a scenario's file that are laid over it before it is read."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from backstop.simulation.scenario.document import Field, merge, read_document

LIBRARY = Path(__file__).with_name("shocks.yaml")


@cache
def shock_library() -> dict[str, Field]:
    """Read all shocks of the library, by name."""
    return read_document(LIBRARY).entries()


def lay_over(top: Field) -> Field:
    """Lay the shocks that a scenario's file names over it, the last over those before."""
    named = top.entries().get("shocks")
    if named is None:
        return top
    rest = {name: entry for name, entry in top.entries().items() if name != "shocks"}
    changed = Field(top.file, top.line, top.path, rest)
    for item in named.items():
        if item.text not in shock_library():
            item.fail(f"{item.text!r} is not one of: {', '.join(shock_library())}")
        shock = shock_library()[item.text].section(("title",), ("models", "vault_book", "markets"))
        if "models" in shock:
            changed = _over_models(changed, shock["models"], item)
        if "vault_book" in shock:
            book = Field(item.file, item.line, "", {"vault_book": shock["vault_book"]})
            changed = merge(changed, book)
        if "markets" in shock:
            changed = _over_markets(changed, shock["markets"], item)
    return changed


def _over_models(top: Field, models: Field, item: Field) -> Field:
    """Shock each price by its own symbol, or by the coin that its model is `like`."""
    touched = False
    for symbol, price in _entries(top, "prices").items():
        model = price.entries().get("model") if isinstance(price.value, dict) else None
        if model is None:
            continue
        like = model.entries().get("like")
        change = models.entries().get(symbol if like is None else like.text)
        if change is not None:
            model.value = merge(model, change).entries()
            touched = True
    if not touched:
        item.fail(f"{item.text!r} touches no price of this scenario: it is for {', '.join(models.entries())}")
    return top


def _over_markets(top: Field, change: Field, item: Field) -> Field:
    """Make all markets as deep as the debt asks for."""
    for market in _entries(top, "markets").values():
        entries = {name: entry for name, entry in market.entries().items() if name != "depth"}
        market.value = entries | change.entries()
    return top


def _entries(top: Field, name: str) -> dict[str, Field]:
    section = top.entries().get(name)
    return {} if section is None else section.entries()
