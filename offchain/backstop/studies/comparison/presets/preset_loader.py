"""Loader of presets: other terms of loss and liquidation for a scenario (docs/reference/presets.md)."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from backstop.deployment.contracts_by_parameter_name import CLOSERS, NAIVE
from backstop.errors import BackstopError, describe_choices
from backstop.files.old_names import load_rename_table
from backstop.keepers.all_role_names import ROLES
from backstop.simulation.scenario import quantity_units
from backstop.simulation.scenario.scenario_library import read_unchecked_scenario_fields
from backstop.simulation.scenario.scenario_loader import load_scenario, parse_scenario
from backstop.simulation.scenario.scenario_records import Scenario
from backstop.simulation.scenario.yaml_document_reader import Field, Section, merge_documents, read_document

SCHEMA_VERSION = 1
LIBRARY = Path(__file__).parent
ALL, SYSTEMS, MARGIN = "all", "systems", "margin"
"""Names of groups of the library: orders of losses, systems that sell vaults their way, the margin market."""

LEAVE_AT_ONCE, EPOCH_CAPS, PARTIAL_SALES = "leave-at-once", "epoch-caps", "partial-sales"
INSTANT_POOL = "instant-pool"
NAIVE_RULES = {
    LEAVE_AT_ONCE: "a pool is left at any moment, at book value",
    EPOCH_CAPS: "caps begin anew with each epoch",
    PARTIAL_SALES: "any part of an unsafe vault is sold, and its loss stays unbooked until the collateral is "
    "gone",
    INSTANT_POOL: "a stability pool is entered and left at any moment, and pays all of a debt",
}
"""Naive rules that presets may have, with contracts of their own, by their names in `lay_over`."""
_OURS = "backstop"
"""The preset with the cooldowns for naive pools, which have none of their own."""

_CONTRACTS = {
    "waterfall_contract": EPOCH_CAPS,
    "discount_contract": PARTIAL_SALES,
    "stability_pool_contract": INSTANT_POOL,
}
"""Fields that name a contract, with the naive rule that it may have."""
# Fields that a preset replaces in a scenario's `parameters`.
_TERMS = ("pools", "cap_delay", "equity", "treasury", *_CONTRACTS)
# Fields that it replaces in each collateral type, and those that it lowers where they are higher.
_MECHANISMS = ("discount", "stability_pool")
_AUCTION = ("curve", "step", "cut", "length", "buf", "cusp", "tail", "penalty", "tip", "chip")
_OF_TYPES = ("buffer_share", "redistribution_cap", *_MECHANISMS)
_LOWERED = {
    "liquidation_ratio": quantity_units.read_basis_points,
    "debt_floor": quantity_units.read_whole_stablecoin_count,
}
# Fields that it replaces in their `margin`, and those that belong to a market or a facilitator.
_OF_MARGIN = (
    *("bucket", "buckets", "insurance", "cap", "policy", "window", "quiet", "band"),
    *("maker_fee", "taker_fee", "fee_share", "third_bond", "divergence"),
)
_ELSEWHERE = ("line", "haircut")
# Roles of the keepers that have positions closed, and debtors met.
_CLOSING, _CRANK = "deleverager", "margin_crank"


@dataclass(frozen=True)
class Preset:
    """Terms of losses and liquidations of one known system, to be applied to a scenario.

    The terms are read, but only checked with a scenario.
    """

    name: str
    title: str
    description: str
    terms: Section

    @property
    def group(self) -> str:
        """Group of the preset: SYSTEMS, ALL or MARGIN.

        SYSTEMS if the preset sets the sale of vaults; otherwise ALL if it sets the waterfall of all losses,
        or MARGIN if it sets only losses of the margin market.
        """
        if _has_mechanism(_read_type_terms(self.terms)):
            return SYSTEMS
        return ALL if "waterfall" in self.terms else MARGIN

    @property
    def naive_pool_names(self) -> list[str]:
        """Names of the pools that depositors may leave at once at book value."""
        pools = self.terms["pools"].read_mapping_entries() if "pools" in self.terms else {}
        return [
            name
            for name, pool in pools.items()
            if "contract" in (terms := pool.read_mapping_entries())
            and terms["contract"].text == "InstantExitPool"
        ]

    @property
    def naive_rules(self) -> list[str]:
        """Keys of NAIVE_RULES that the preset has."""
        found = [LEAVE_AT_ONCE] if self.naive_pool_names else []
        for term, rule in _CONTRACTS.items():
            if term in self.terms and self.terms[term].text in NAIVE:
                found.append(rule)
        return found


def preset_names(group: str | None = None) -> list[str]:
    """Return the names of the package's presets, or of those in a group."""
    names = sorted(path.stem for path in LIBRARY.glob("*.yaml"))
    return [name for name in names if group is None or load_preset(name).group == group]


def load_presets(names: str) -> list[Preset]:
    """Load presets by their names, with commas between them.

    `names` may contain names of the library, files (.yaml) and groups: "all" (orders of losses), "systems"
    (whole systems with their own sale of vaults) and "margin" (margin markets).

    Each Preset has `name`, `title`, `description`, `terms` (its unchecked fields), `group`, `naive_rules` and
    `naive_pool_names`. `compare` and `apply_preset` apply it to a scenario.

    Raises BackstopError for an unknown preset, and for a preset that is given twice.
    """
    given = [name.strip() for name in names.split(",")]
    groups = {name: preset_names(name) for name in (ALL, SYSTEMS, MARGIN) if name in given}
    listed = [each for name in given for each in groups.get(name, [name])]
    found = [load_preset(name) for name in listed]
    for i, preset in enumerate(found):
        if preset.name in [other.name for other in found[:i]]:
            raise BackstopError(f"the preset {preset.name!r} is given twice")
    return found


def load_preset(name_or_file: str | Path) -> Preset:
    """Load a preset by its name in the library, or from a .yaml file.

    Raises BackstopError for an unknown name, a missing file, or a file without terms.
    """
    path = Path(name_or_file)
    if path.suffix not in (".yaml", ".yml"):
        path = LIBRARY / f"{name_or_file}.yaml"
        if not path.is_file():
            new = load_rename_table().names["presets"].get(path.stem)
            if new is not None:
                raise BackstopError(f"the preset {path.stem!r} is called {new!r} now")
            names = [*preset_names(), ALL, SYSTEMS, MARGIN]
            known = describe_choices(path.stem, names, "docs/how-to/compare-presets.md")
            raise BackstopError(f"preset {path.stem!r} is unknown; {known}; or name a .yaml file")
    elif not path.is_file():
        raise BackstopError(f"preset file {path} not found")
    top = read_document(path)
    section = top.read_section(
        ("schema_version", "title", "description"),
        ("waterfall", *_TERMS, "of_each_type", "absent", "margin", "unsafe"),
    )
    if section["schema_version"].read_value(quantity_units.read_whole_number) != SCHEMA_VERSION:
        section["schema_version"].raise_error(f"is not the version {SCHEMA_VERSION} that this program reads")
    types = _read_type_terms(section)
    if "margin" in section:
        section["margin"].read_section((), (*_OF_MARGIN, *_ELSEWHERE))
    elif "waterfall" not in section and not _has_mechanism(types):
        top.raise_error(
            "'waterfall', 'margin', 'of_each_type.auction', 'of_each_type.discount' and "
            "'of_each_type.stability_pool' are missing: give one of them"
        )
    for role in section["absent"].read_items() if "absent" in section else ():
        role.read_choice(ROLES)
    title, description = (" ".join(section[name].text.split()) for name in ("title", "description"))
    return Preset(path.stem, title, description, section)


def apply_preset(preset: Preset, scenario: str | Path, excluded_naive_rule: str = "") -> Scenario:
    """Load a scenario with the preset's terms in place of its own.

    `excluded_naive_rule` is one of the preset's naive rules, which our rule then replaces. Caps count any
    window of time instead of one epoch. Vaults under water are sold whole instead of in parts. A stability
    pool has delays and pays no more than collateral is worth. Pools that are left at once get requests,
    batches and cooldowns as in the preset `backstop`. Keepers flag doubtful debt if depositors may leave.
    """
    load_scenario(scenario)  # its own errors are not to be blamed on the preset
    document, name = read_unchecked_scenario_fields(scenario)
    terms, parameters = preset.terms, document.read_mapping_entries()["parameters"].read_mapping_entries()
    if "waterfall" in terms:
        # The waterfall is replaced as a whole: stages that the preset does not name are off.
        parameters["waterfall"] = terms["waterfall"]
    for term in _TERMS:
        if term in terms:
            own = copy.deepcopy(terms[term])
            parameters[term] = merge_documents(parameters[term], own) if term in parameters else own
    for fields in parameters["collateral_types"].read_mapping_entries().values():
        _replace_type_terms(fields.read_mapping_entries(), _read_type_terms(terms))
    if "margin" in terms and ("margin" in parameters or "waterfall" not in terms):
        _apply_margin_terms(preset, document.read_mapping_entries(), name)
    if "unsafe" in terms:
        # What a historic system breaks depends on the scenario as well, so nothing insists on it.
        top = document.read_mapping_entries()
        top["unsafe"] = (
            merge_documents(top["unsafe"], terms["unsafe"]) if "unsafe" in top else terms["unsafe"]
        )
    for term, rule in _CONTRACTS.items():
        if rule == excluded_naive_rule:
            del parameters[term]
    if excluded_naive_rule == LEAVE_AT_ONCE:
        ours = load_preset(_OURS).terms["pools"].read_mapping_entries()
        for name in preset.naive_pool_names:
            pool = parameters["pools"].read_mapping_entries()[name].read_mapping_entries()
            pool["cooldown"] = ours[name].read_mapping_entries()["cooldown"]
            del pool["contract"]
    if "absent" in terms:
        absent = [role.text for role in terms["absent"].read_items()]
        if excluded_naive_rule in (LEAVE_AT_ONCE, INSTANT_POOL):
            absent = [role for role in absent if role != "recogniser"]
        keepers = document.read_mapping_entries()["keepers"].read_mapping_entries()
        for group, fields in list(keepers.items()):
            if fields.read_mapping_entries()["role"].text in absent:
                del keepers[group]
    # A recorded state belongs to its own terms, so the vault book is opened anew.
    return parse_scenario(document, name, drops_opening_state=True)


def _read_type_terms(terms: Section) -> Mapping[str, Field]:
    """Return the fields that a preset sets in each collateral type."""
    if "of_each_type" not in terms:
        return {}
    return terms["of_each_type"].read_section((), (*_OF_TYPES, *_LOWERED, "auction")).fields_by_name


def _has_mechanism(types: Mapping[str, Field]) -> bool:
    """Return whether a preset sets how vaults are sold.

    The ways are a stability pool, a discount and an auction. A penalty alone is no mechanism, as the auctions
    stay the scenario's.
    """
    auction = types["auction"].read_mapping_entries() if "auction" in types else {}
    return any(name in types for name in _MECHANISMS) or "curve" in auction


def _replace_type_terms(fields: dict[str, Field], own: Mapping[str, Field]) -> None:
    """Replace the terms of a collateral type by the preset's.

    The liquidation ratio and the debt floor are only lowered. With a higher ratio, vaults of the scenario
    could be unsafe from the start; with a higher floor, they could not be opened.
    """
    if _has_mechanism(own):
        # One stands in the place of the other.
        for name in _MECHANISMS:
            fields.pop(name, None)
    fields |= {name: own[name] for name in _OF_TYPES if name in own}
    if "auction" in own:
        # A curve has fields of its own, so that an auction which names one replaces the scenario's.
        has_curve = "curve" in own["auction"].read_mapping_entries()
        given = own["auction"].read_section((), _AUCTION if has_curve else ("penalty",))
        fields["auction"] = (
            own["auction"] if "curve" in given else merge_documents(fields["auction"], own["auction"])
        )
    for name, reader in _LOWERED.items():
        if name in own and own[name].read_value(reader) < fields[name].read_value(reader):
            fields[name] = own[name]


def _apply_margin_terms(preset: Preset, document: dict[str, Field], scenario: str) -> None:
    """Replace the terms of the margin market by the preset's.

    A keeper is added if the policy closes positions by force. Raises BackstopError if the scenario has no
    margin market, or no facilitator for the preset's credit line.
    """
    parameters = document["parameters"].read_mapping_entries()
    if "margin" not in parameters:
        raise BackstopError(
            f"the preset {preset.name!r} is about a margin market, and the scenario {scenario!r} has none"
        )
    own, margin = preset.terms["margin"].read_mapping_entries(), parameters["margin"].read_mapping_entries()
    margin |= {name: own[name] for name in _OF_MARGIN if name in own}
    if "haircut" in own:
        markets = margin["markets"].read_mapping_entries()
        for fields in markets.values():
            fields.read_mapping_entries()["haircut"] = own["haircut"]
    if "line" in own:
        if "facilitator" in margin:
            _get_fields_of_margin_facilitator(margin, parameters)["line"] = own["line"]
        elif own["line"].read_value(quantity_units.read_whole_stablecoin_count) != 0:
            own["line"].raise_error(
                f"the margin market of the scenario {scenario!r} has no facilitator to bear losses"
            )

    if "policy" in own and own["policy"].text in CLOSERS and "keepers" in document:
        keepers = document["keepers"].read_mapping_entries()
        if all(fields.read_mapping_entries()["role"].text != _CLOSING for fields in keepers.values()):
            keepers[_CLOSING] = _build_deleverager_group(own["policy"], keepers)


def _build_deleverager_group(policy_field: Field, keepers: Mapping[str, Field]) -> Field:
    """Return a keeper group that closes positions, at the gas price of the margin market's keepers."""
    made = {"role": Field(policy_field.file, policy_field.line, f"keepers.{_CLOSING}.role", _CLOSING)}
    for fields in keepers.values():
        crank = fields.read_mapping_entries()
        if crank["role"].text == _CRANK and "gas_price" in crank:
            made["gas_price"] = crank["gas_price"]
    return Field(policy_field.file, policy_field.line, f"keepers.{_CLOSING}", made)


def _get_fields_of_margin_facilitator(
    margin_fields: Mapping[str, Field], parameter_fields: Mapping[str, Field]
) -> dict[str, Field]:
    return (
        parameter_fields["facilitators"]
        .read_mapping_entries()[margin_fields["facilitator"].text]
        .read_mapping_entries()
    )
