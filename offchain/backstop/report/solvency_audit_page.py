"""Page of an audit: the debt at one block, the assets behind it, and the absorption of a loss."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from markupsafe import Markup

from backstop.model.arithmetic import RAD
from backstop.report import amounts, multi_run_section_headings
from backstop.report.chart_parts import Chart, LegendKey
from backstop.report.debt_maturity import list_audit_maturities
from backstop.report.exact_amount_markup import render_amount
from backstop.report.named_bars import BarPart, build_stacked_bars
from backstop.report.rendering import render_template
from backstop.report.summary_panel import build_loss_payers_strip

_VAULTS = 20


def render_solvency_audit_page(audit_content: Mapping[str, Any], verify_command: str) -> str:
    """Return the page of a solvency audit as HTML.

    `verify_command` is the command that verifies the audit.
    """
    statement = audit_content["statement"]
    due = list_audit_maturities(statement)
    most = max(due, key=lambda bucket: bucket.due, default=None)
    said = multi_run_section_headings.compose_audit_headings(
        statement, audit_content["mirror"]["differences"]
    )
    if most is not None:
        said["due"] = Markup("{} {}").format(render_amount(most.due, "rad"), most.title)
    return render_template(
        "audit.html",
        statement,
        list(_iter_charts(statement)),
        block=audit_content["block"],
        engine=audit_content["deployment"]["contracts"]["VaultEngine"]["address"],
        chain_id=audit_content["deployment"]["chain_id"],
        mirror=audit_content["mirror"],
        answers=said,
        command=verify_command,
        largest=statement["vaults"][:_VAULTS],
        due=due,
        strip=build_loss_payers_strip(statement),
    )


def _iter_charts(statement: Mapping[str, Any]) -> Iterator[Chart]:
    vaults = [row for row in statement["vaults"][:_VAULTS] if int(row["debt_rad"])]
    if vaults:
        short = [int(row["short_rad"]) for row in vaults]
        carried = [int(row["debt_rad"]) - rad for row, rad in zip(vaults, short, strict=True)]
        names = [f"{row['symbol']} {row['owner'][:10]}" for row in vaults]
        parts = [BarPart("carried by collateral", "@first", carried), BarPart("short", "@loss", short)]
        yield _build_stacked_bar_chart("vaults", "The largest vaults", names, parts)
    stages = statement["stages"]
    would = [int(row["would_pay_rad"]) for row in stages]
    rest = [max(0, int(row["capacity_rad"]) - rad) for row, rad in zip(stages, would, strict=True)]
    if any(would) or any(rest):
        parts = [BarPart("would pay now", "@loss", would), BarPart("beyond that", "@faint", rest)]
        names = [row["stage"].replace("_", " ") for row in stages]
        yield _build_stacked_bar_chart("stages", "Balances of the stages", names, parts)


def _build_stacked_bar_chart(element_id: str, title: str, names: list[str], parts: list[BarPart]) -> Chart:
    told = "; ".join(
        f"{name} " + ", ".join(f"{part.name} {amounts.format_compact(part.values[i], RAD)}" for part in parts)
        for i, name in enumerate(names)
    )
    legend = tuple(LegendKey(part.name, part.color, "area") for part in parts)
    return Chart(element_id, title, f"{title}: {told}.", build_stacked_bars(names, parts), legend)
