"""Page of an audit: what is owed at one block, what stands behind it, who would bear a loss."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from markupsafe import Markup

from backstop.model.arithmetic import RAD
from backstop.report import amounts, answers
from backstop.report.first_screen import of_audit
from backstop.report.maturity import agenda
from backstop.report.named_bars import Part, stacked
from backstop.report.numbers import amount
from backstop.report.plotting import Chart, Key
from backstop.report.rendering import render

_VAULTS = 20


def page(content: Mapping[str, Any], command: str) -> str:
    """Render the page of an audit as text; `command` verifies the audit that it shows."""
    statement = content["statement"]
    due = agenda(statement)
    most = max(due, key=lambda bucket: bucket.due, default=None)
    said = answers.of_audit(statement, content["mirror"]["differences"])
    if most is not None:
        said["due"] = Markup("{} {}").format(amount(most.due, "rad"), most.title)
    return render(
        "audit.html",
        statement,
        list(_charts(statement)),
        block=content["block"],
        engine=content["deployment"]["contracts"]["VaultEngine"]["address"],
        chain_id=content["deployment"]["chain_id"],
        mirror=content["mirror"],
        answers=said,
        command=command,
        largest=statement["vaults"][:_VAULTS],
        due=due,
        strip=of_audit(statement),
    )


def _charts(statement: Mapping[str, Any]) -> Iterator[Chart]:
    vaults = [row for row in statement["vaults"][:_VAULTS] if int(row["debt_rad"])]
    if vaults:
        short = [int(row["short_rad"]) for row in vaults]
        carried = [int(row["debt_rad"]) - rad for row, rad in zip(vaults, short, strict=True)]
        names = [f"{row['symbol']} {row['owner'][:10]}" for row in vaults]
        parts = [Part("carried by collateral", "@first", carried), Part("short", "@loss", short)]
        yield _bars("vaults", "The largest vaults", names, parts)
    stages = statement["stages"]
    would = [int(row["would_pay_rad"]) for row in stages]
    rest = [max(0, int(row["capacity_rad"]) - rad) for row, rad in zip(stages, would, strict=True)]
    if any(would) or any(rest):
        parts = [Part("would pay now", "@loss", would), Part("beyond that", "@faint", rest)]
        names = [row["stage"].replace("_", " ") for row in stages]
        yield _bars("stages", "What the stages have", names, parts)


def _bars(id: str, title: str, names: list[str], parts: list[Part]) -> Chart:
    told = "; ".join(
        f"{name} " + ", ".join(f"{part.name} {amounts.compact(part.values[i], RAD)}" for part in parts)
        for i, name in enumerate(names)
    )
    legend = tuple(Key(part.name, part.color, "area") for part in parts)
    return Chart(id, title, f"{title}: {told}.", stacked(names, parts), legend)
