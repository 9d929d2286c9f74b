"""Named shocks: changes of a scenario's file that are laid over it before it is read."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from backstop.simulation.scenario.yaml_document_reader import Field, merge_documents, read_document

LIBRARY = Path(__file__).with_name("shocks.yaml")


@cache
def load_shock_library() -> dict[str, Field]:
    """Load all packaged shocks (named changes of a scenario), by name."""
    return read_document(LIBRARY).read_mapping_entries()


def overlay_scenario_with_named_shocks(scenario_field: Field) -> Field:
    """Return a scenario's document with the shocks that it names applied, in their order."""
    named = scenario_field.read_mapping_entries().get("shocks")
    if named is None:
        return scenario_field
    rest = {name: entry for name, entry in scenario_field.read_mapping_entries().items() if name != "shocks"}
    changed = Field(scenario_field.file, scenario_field.line, scenario_field.path, rest)
    for item in named.read_items():
        if item.text not in load_shock_library():
            item.raise_error(f"{item.text!r} is not one of: {', '.join(load_shock_library())}")
        shock = load_shock_library()[item.text].read_section(("title",), ("models", "vault_book", "markets"))
        if "models" in shock:
            changed = _apply_shock_to_models(changed, shock["models"], item)
        if "vault_book" in shock:
            book = Field(item.file, item.line, "", {"vault_book": shock["vault_book"]})
            changed = merge_documents(changed, book)
        if "markets" in shock:
            changed = _apply_shock_to_markets(changed, shock["markets"], item)
    return changed


def _apply_shock_to_models(scenario_field: Field, model_changes: Field, shock_name_field: Field) -> Field:
    """Apply a shock to each price model, selected by its symbol or by the coin that it is `like`."""
    touched = False
    for symbol, price in _get_section_entries(scenario_field, "prices").items():
        model = price.read_mapping_entries().get("model") if isinstance(price.value, dict) else None
        if model is None:
            continue
        like = model.read_mapping_entries().get("like")
        change = model_changes.read_mapping_entries().get(symbol if like is None else like.text)
        if change is not None:
            model.value = merge_documents(model, change).read_mapping_entries()
            touched = True
    if not touched:
        shock_name_field.raise_error(
            f"{shock_name_field.text!r} touches no price of this scenario: it is for "
            f"{', '.join(model_changes.read_mapping_entries())}"
        )
    return scenario_field


def _apply_shock_to_markets(scenario_field: Field, market_change: Field, shock_name_field: Field) -> Field:
    """Replace the depth of every market by the shock's definition, such as a share of debt."""
    for market in _get_section_entries(scenario_field, "markets").values():
        entries = {name: entry for name, entry in market.read_mapping_entries().items() if name != "depth"}
        market.value = entries | market_change.read_mapping_entries()
    return scenario_field


def _get_section_entries(top: Field, name: str) -> dict[str, Field]:
    section = top.read_mapping_entries().get(name)
    return {} if section is None else section.read_mapping_entries()
