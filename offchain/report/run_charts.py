"""The charts of one run, in the order of its page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offchain.report.auction_charts import fills
from offchain.report.debt_charts import debt
from offchain.report.figures import Chart
from offchain.report.loss_charts import cushions, waterfall
from offchain.report.margin_charts import margin_payments, margin_waterfall
from offchain.report.maturity import maturity
from offchain.report.price_charts import network, prices

if TYPE_CHECKING:
    from offchain.runs import Run


def charts(run: Run) -> list[Chart]:
    """Every chart that the run's tables have data for."""
    found = [*prices(run), network(run), fills(run), *debt(run), maturity(run), cushions(run), waterfall(run)]
    found += [margin_waterfall(run), margin_payments(run)]
    return [chart for chart in found if chart is not None]
