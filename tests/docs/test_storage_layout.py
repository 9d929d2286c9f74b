"""The table of docs/reference/storage-layout.md has every packed record of the model, with its bits."""

from __future__ import annotations

import re
from dataclasses import replace

from backstop.deployment.example_parameters import build_guarded_parameters
from backstop.deployment.model_and_chain_deployment import create_model
from backstop.deployment.parameter_dataclasses import (
    DiscountParameters,
    FacilitatorParameters,
    StabilityPoolParameters,
    TimelockParameters,
)
from backstop.deployment.planned_contracts import plan_deployment
from tests.support.checkout_paths import ROOT

PAGE = ROOT / "docs" / "reference" / "storage-layout.md"
ROW = re.compile(r"^\| (\w+(?:, \w+)*) \| `([\w.]+)[^`]*` \| (.*) \|$", re.MULTILINE)
FIELD = re.compile(r"(\w+) (\d+)")

Layout = tuple[tuple[str, int], ...]


def read_page_layouts() -> dict[tuple[str, str], Layout]:
    """Return the fields and bits of each contract and variable of the page."""
    return {
        (contract, variable): tuple(
            (name, int(bits)) for name, bits in FIELD.findall(re.sub(r" \([^)]*\)", "", fields))
        )
        for contracts, variable, fields in ROW.findall(PAGE.read_text())
        for contract in contracts.split(", ")
    }


def read_model_layouts() -> dict[tuple[str, str], Layout]:
    """Return the same of the model of a deployment with all that is optional but perpetual markets."""
    guarded = build_guarded_parameters()
    weth, wbtc, xau = guarded.collateral_types
    parameters = replace(
        guarded,
        collateral_types=(
            replace(weth, discount=DiscountParameters()),
            replace(wbtc, stability_pool=StabilityPoolParameters()),
            xau,
        ),
        facilitators=(FacilitatorParameters("Bridge", line=1_000),),
        timelock=TimelockParameters(),
    )
    contracts = create_model(plan_deployment(parameters)).world.contracts.values()
    return {
        (type(contract).__name__, path): tuple(zip(record._fields, record.WIDTHS, strict=True))
        for contract in contracts
        for path, table in contract.tables.items()
        if hasattr(record := type(table.default), "WIDTHS")
    }


def test_the_page_has_every_packed_record_and_no_other() -> None:
    assert read_page_layouts() == read_model_layouts()
