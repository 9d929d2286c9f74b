"""The two parts of a system's preset: its liquidation mechanism, and its order of losses.

A preset of its own joins the mechanism of one system to the order of losses of another.
"""

from __future__ import annotations

from backstop.simulation.scenario.yaml_document_reader import Field, Section
from backstop.studies.comparison.presets.preset_loader import Preset

MECHANISM_TERMS = ("discount_contract", "stability_pool_contract")
"""Fields of a preset that belong to its mechanism; all others belong to its order of losses."""

THRESHOLD_TERMS = ("liquidation_ratio", "debt_floor")
MECHANISM_TYPE_TERMS = ("discount", "stability_pool", "auction", *THRESHOLD_TERMS)
"""The same of the fields of each collateral type."""

_TYPES = "of_each_type"
_UNSAFE = "unsafe"


def combine_presets(mechanism: Preset, order: Preset) -> Preset:
    """Return a preset with the liquidation mechanism of `mechanism` and the loss terms of `order`."""
    terms = {
        name: field
        for name, field in order.terms.fields_by_name.items()
        if name not in (*MECHANISM_TERMS, _TYPES, _UNSAFE)
    }
    terms |= {name: mechanism.terms[name] for name in MECHANISM_TERMS if name in mechanism.terms}
    types = {
        name: field
        for preset, is_mechanism in ((order, False), (mechanism, True))
        for name, field in _read_entries(preset, _TYPES).items()
        if (name in MECHANISM_TYPE_TERMS) == is_mechanism
    }
    unsafe = _read_entries(order, _UNSAFE) | _read_entries(mechanism, _UNSAFE)
    for name, entries in ((_TYPES, types), (_UNSAFE, unsafe)):
        if entries:
            terms[name] = _build_section_field(mechanism if name in mechanism.terms else order, name, entries)
    return Preset(f"{mechanism.name}+{order.name}", mechanism.title, mechanism.description, Section(terms))


def drop_liquidation_ratio(preset: Preset) -> Preset:
    """Return a preset without its liquidation ratio and debt floor.

    The scenario's own values then stay.
    """
    terms = dict(preset.terms.fields_by_name)
    types = {
        name: field for name, field in _read_entries(preset, _TYPES).items() if name not in THRESHOLD_TERMS
    }
    if types:
        terms[_TYPES] = _build_section_field(preset, _TYPES, types)
    else:
        terms.pop(_TYPES, None)
    return Preset(f"{preset.name}@ratio", preset.title, preset.description, Section(terms))


def _read_entries(preset: Preset, name: str) -> dict[str, Field]:
    return preset.terms[name].read_mapping_entries() if name in preset.terms else {}


def _build_section_field(preset: Preset, name: str, entries: dict[str, Field]) -> Field:
    """Return a section with other entries, at the file and line of the preset's section."""
    own = preset.terms[name]
    return Field(own.file, own.line, own.path, entries)
