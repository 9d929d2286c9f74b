"""Checks that a scenario's parameters fit each other, and the rules that it may break on purpose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from backstop.deployment.parameter_dataclasses import STAIRSTEP, Parameters
from backstop.deployment.parameter_rules import RULES, list_refused_findings
from backstop.deployment.parameter_rules.parameter_rule import REFUSED
from backstop.errors import BackstopError
from backstop.simulation.scenario.scenario_records import Scenario
from backstop.simulation.scenario.yaml_document_reader import Field

SHORT_STEP = "short-step"
"""Rule of scenarios alone: an auction's step is no shorter than a block, or several pass in each."""


class BrokenRuleError(BackstopError):
    """Raised for parameters that break a rule of settings; has the rule, the finding and the place."""

    def __init__(self, field: Field, rule: str, finding: str, problem: str) -> None:
        super().__init__(field.format_error(problem))
        self.rule = rule
        self.finding = finding
        self.place = f"{field.file.name}:{field.line}"


def read_unsafe_rules(field: Field) -> dict[str, str]:
    """Read the rules of settings that a scenario breaks on purpose, with the reason for each."""
    found = {}
    for name, entry in field.read_mapping_entries().items():
        if name not in {SHORT_STEP, *(rule.name for rule in RULES if rule.verdict == REFUSED)}:
            entry.raise_error(
                f"{name!r} is not a rule that refuses a setting: `ape run settings --rules` lists them"
            )
        found[name] = " ".join(entry.text.split())
        if not found[name]:
            entry.raise_error("gives no reason: say what the scenario is there to show")
    return found


def refuse_broken_rules(scenario: Scenario, field: Field) -> None:
    """Raise BrokenRuleError if parameters break a rule of settings that `unsafe` does not list."""
    _refuse_short_steps(scenario, field)
    findings = [
        found
        for found in list_refused_findings(scenario.parameters, scenario.first_prices)
        if found.rule.name not in scenario.unsafe
    ]
    if findings:
        more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
        name = findings[0].rule.name
        problem = (
            f"do not fit each other: {findings[0]}{more}. If the scenario is there to show this, say so "
            f"under `unsafe`, as `{name}: why`"
        )
        raise BrokenRuleError(field, name, str(findings[0]), problem)


def refuse_unbroken_unsafe_rules(scenario: Scenario, unsafe_fields: Mapping[str, Field]) -> None:
    """Raise BackstopError for a rule listed under `unsafe` that the parameters do not break."""
    broken = {found.rule.name for found in list_refused_findings(scenario.parameters, scenario.first_prices)}
    broken |= {SHORT_STEP for _ in iter_short_steps(scenario.parameters, scenario.block_time)}
    for name, entry in unsafe_fields.items():
        if name not in broken:
            entry.raise_error(
                "is not broken by these parameters: take it out, or write `null` if the base has it"
            )


def iter_short_steps(parameters: Parameters, block_time: int) -> Iterator[tuple[str, int]]:
    """Yield the symbol and auction step [seconds] of each type with a step shorter than a block."""
    for each in parameters.collateral_types:
        if each.auction.curve == STAIRSTEP and each.auction.period < block_time:
            yield each.symbol, each.auction.period


def describe_short_steps(scenario: Scenario) -> list[str]:
    """Return a sentence for each type with an auction step shorter than a block."""
    return [
        f"Auctions of {symbol} step every {step} s, and blocks are of {scenario.block_time} s: keepers see "
        f"one price a block, and shortfalls are too high. The scenario allows this: `{SHORT_STEP}` under "
        "`unsafe`."
        for symbol, step in iter_short_steps(scenario.parameters, scenario.block_time)
    ]


def _refuse_short_steps(scenario: Scenario, field: Field) -> None:
    """Raise BrokenRuleError for an auction step shorter than a block, unless the scenario allows it.

    Keepers act once a block, so they would see only some of the price steps.
    """
    found = next(iter_short_steps(scenario.parameters, scenario.block_time), None)
    if found is None or SHORT_STEP in scenario.unsafe:
        return
    symbol, step = found
    problem = (
        f"collateral_types.{symbol}.auction.step: {step} s is shorter than a block of "
        f"{scenario.block_time} s, and keepers act once a block; set a block_time of {step} s or less"
    )
    mend = f", or say under `unsafe` why not, as `{SHORT_STEP}: why`"
    raise BrokenRuleError(field, SHORT_STEP, f"{SHORT_STEP}: {problem}", problem + mend)
