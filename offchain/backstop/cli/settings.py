"""Whether the parameters of a deployment fit each other."""

from __future__ import annotations

import json
from pathlib import Path

import click

from backstop.cli.command_helpers import (
    RUNS,
    Command,
    contracts_folder_option,
    format_repeat_command,
    handle_errors,
    handle_stop_signals,
    json_option,
    open_output,
    output_options,
    seed_option,
    show_progress_bar,
)
from backstop.deployment.deployment_file import parameters_to_json
from backstop.deployment.parameter_rules import DOUBTFUL, REFUSED, RULES, Rule, RuleFinding, check_parameters
from backstop.files.installation import format_command_as_started

BROKEN, REFUSED_CODE, INTERRUPTED = 1, 2, 130

RUN_BY = ("backstop.studies.random_parameters.parameter_campaign",)
"""Inputs that a folder resumes with as long as they are unchanged."""


@click.command(
    cls=Command,
    short_help="Check whether the parameters of a deployment fit each other",
    epilog="""\b
Examples:
  ape run settings my.yaml
  ape run settings guarded --json
  ape run settings --rules
  ape run settings standard --print > params.json
  ape run settings --draw 100 --seed 7 --steps 500 --workers 2
""",
)
@click.argument("setting", required=False)
@click.option("--rules", is_flag=True, help="Print all rules instead.")
@click.option(
    "--print",
    "prints",
    is_flag=True,
    help="Print the parameters of SETTING as JSON instead, to edit and deploy as a file; checks no rule.",
)
@click.option(
    "--draw",
    type=click.IntRange(1, 10**6),
    help="Number of random settings to check instead of SETTING, counting those of an earlier run.  "
    "[default: none]",
)
@click.option(
    "--steps",
    type=click.IntRange(1),
    default=500,
    show_default=True,
    help="Random steps on each random setting that passes the rules.",
)
@seed_option
@click.option(
    "--workers", type=click.IntRange(1), default=1, show_default=True, help="Number of worker processes."
)
@click.option(
    "--host",
    type=click.Choice(["revm", "anvil"]),
    default="revm",
    show_default=True,
    help="Throw-away chain that runs the contracts.",
)
@output_options("Folder of the random settings.", "runs/settings-<seed>-<host>")
@contracts_folder_option
@json_option
@handle_errors
def cli(
    setting: str | None,
    rules: bool,
    prints: bool,
    draw: int | None,
    steps: int,
    seed: int,
    workers: int,
    host: str,
    out: Path | None,
    fresh: bool,
    contracts: Path,
    as_json: bool,
) -> None:
    """Check the parameters of a deployment against all rules; print each misfit with a value that fits.

    SETTING is a scenario (name or YAML file), a JSON file of parameters, 'standard', 'guarded' or 'margin',
    as for `deploy --params`. With --draw random settings are checked, and the fuzzer plays the accepted
    settings with every property; the same command resumes an interrupted run.

    Reads SETTING. With --draw writes settings.json and failing traces into --out.

    Exit codes: 0 if SETTING passes or is printed, 2 if a rule refuses it or on invalid options; with --draw
    1 if an accepted setting breaks a property or misses a duty, 130 on an interruption.
    """
    if sum((setting is not None, rules, draw is not None)) != 1:
        raise click.UsageError("expected one of SETTING, --rules and --draw")
    if prints and setting is None:
        raise click.UsageError("--print: no setting; expected SETTING")
    if rules:
        _print_rules(as_json)
    elif draw is not None:
        _run_random_parameter_campaign(
            draw,
            steps,
            seed,
            workers,
            host,
            out or RUNS / f"settings-{seed}-{host}",
            fresh,
            contracts,
            as_json,
        )
    else:
        assert setting is not None
        if prints:
            _print_parameters(setting)
        else:
            _check_setting(setting, as_json)


def _print_rules(as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([_build_rule_json(each) for each in RULES], indent=2))
        return
    for each in RULES:
        click.echo(f"{each.name} ({each.verdict}): {', '.join(each.relates)}")
        click.echo(f"  {each.why}.")


def _print_parameters(setting: str) -> None:
    from backstop.live.operate.resumable_deployment import load_parameters

    click.echo(json.dumps(parameters_to_json(load_parameters(setting)), indent=2))


def _check_setting(setting: str, as_json: bool) -> None:
    from backstop.live.operate.resumable_deployment import load_parameters_with_prices

    findings = check_parameters(*load_parameters_with_prices(setting))
    count = {
        verdict: sum(found.rule.verdict == verdict for found in findings) for verdict in (REFUSED, DOUBTFUL)
    }
    if as_json:
        click.echo(json.dumps([_build_finding_json(each) for each in findings], indent=2))
    else:
        for each in sorted(findings, key=lambda found: found.rule.verdict != REFUSED):
            place = f" {each.misfit.place}" if each.misfit.place else ""
            click.echo(f"{each.rule.verdict}: {each.rule.name}{place}")
            click.echo(f"  has  {each.parameter_names_and_values}")
            click.echo(f"  set  {each.misfit.instead}")
            click.echo(f"  as   {each.rule.why}.")
        click.echo(f"{len(RULES)} rules, {count[REFUSED]} refused, {count[DOUBTFUL]} doubtful")
    if count[REFUSED]:
        raise SystemExit(REFUSED_CODE)


def _run_random_parameter_campaign(
    setting_count: int,
    step_count: int,
    seed: int,
    workers: int,
    host: str,
    out: Path,
    fresh: bool,
    contracts: Path,
    as_json: bool,
) -> None:
    from backstop.studies.random_parameters.parameter_campaign import ParameterCampaign

    inputs = {"seed": seed, "steps": step_count, "host": host}
    asked = {"settings": setting_count}
    output = open_output(out, "settings", inputs, asked, contracts=contracts, fresh=fresh, runs=RUN_BY)
    campaign = ParameterCampaign(out, seed, step_count, host, contracts)
    with handle_stop_signals() as stopped, show_progress_bar() as bar:
        campaign.run_and_save_trials(
            setting_count,
            workers,
            stopped,
            lambda n: bar(n, setting_count, f"{n} of {setting_count} settings"),
        )
    counts = {verdict: campaign.count_settings_by_broken_rule(verdict) for verdict in (REFUSED, DOUBTFUL)}
    tried, failures, unanswered = (
        len(campaign.results),
        campaign.failures_by_number,
        campaign.missed_duties_by_setting,
    )
    if as_json:
        summary = {"settings": tried, "accepted": campaign.accepted_count, "steps": campaign.steps}
        click.echo(json.dumps(summary | counts | {"failures": failures, "unanswered": unanswered}, indent=2))
    else:
        click.echo(f"settings={tried} accepted={campaign.accepted_count} steps={campaign.steps}")
        for verdict, count in counts.items():
            for name, number in count.most_common():
                click.echo(f"  {verdict:<8} {number:>7}  {name}")
        for number, failure in failures.items():
            click.echo(f"setting {number}: {failure['kind']}: {failure['text']}")
            click.echo(f"  {format_command_as_started('replay')} {out / failure['trace']}")
        for number, texts in unanswered.items():
            click.echo(f"setting {number}: {'; '.join(texts)}")
    if tried >= setting_count:
        output.mark_finished()
    else:
        again = format_repeat_command(
            "settings", draw=setting_count, steps=step_count, seed=seed, host=host, out=out
        )
        click.echo(f"go on with: {again}", err=True)
    raise SystemExit(BROKEN if failures or unanswered else 0 if tried >= setting_count else INTERRUPTED)


def _build_rule_json(parameter_rule: Rule) -> dict[str, object]:
    return {
        "rule": parameter_rule.name,
        "verdict": parameter_rule.verdict,
        "parameters": parameter_rule.relates,
        "why": parameter_rule.why,
    }


def _build_finding_json(rule_finding: RuleFinding) -> dict[str, object]:
    values = dict(zip(rule_finding.rule.relates, rule_finding.misfit.values, strict=True))
    return _build_rule_json(rule_finding.rule) | {
        "place": rule_finding.misfit.place,
        "parameters": values,
        "instead": rule_finding.misfit.instead,
    }
