"""Charts of one run, in the order of its page."""

from __future__ import annotations

from backstop.report.auction_charts import fills
from backstop.report.book_charts import book_charts
from backstop.report.debt_charts import debt
from backstop.report.depth_charts import market_depth
from backstop.report.loss_charts import cushions, waterfall
from backstop.report.margin_charts import margin_payments, margin_waterfall
from backstop.report.maturity import maturity
from backstop.report.plotting import Chart
from backstop.report.price_charts import network, prices
from backstop.report.replay import replay_chart
from backstop.simulation.run_directory import Run


def charts(run: Run) -> list[Chart]:
    """Build each chart that the run's tables have data for."""
    found = [*prices(run), network(run), fills(run), *debt(run), maturity(run), cushions(run), waterfall(run)]
    found += [
        margin_waterfall(run),
        margin_payments(run),
        *book_charts(run),
        market_depth(run),
        replay_chart(run),
    ]
    return [chart for chart in found if chart is not None]
