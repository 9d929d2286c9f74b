"""Presets: files that set the order of loss payers, as in a known system, for any scenario."""

from backstop.studies.comparison.presets.preset_loader import (
    NAIVE_RULES,
    Preset,
    apply_preset,
    load_preset,
    load_presets,
    preset_names,
)

__all__ = ["NAIVE_RULES", "Preset", "apply_preset", "load_preset", "load_presets", "preset_names"]
