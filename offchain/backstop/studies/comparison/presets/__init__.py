"""Presets: files that say who bears losses, in the manner of a known system, for any scenario."""

from backstop.studies.comparison.presets.loader import (
    Preset,
    lay_over,
    load_preset,
    load_presets,
    preset_names,
)

__all__ = ["Preset", "lay_over", "load_preset", "load_presets", "preset_names"]
