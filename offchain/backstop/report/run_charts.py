"""Charts of one run, in the order of its page."""

from __future__ import annotations

from backstop.report.auction_charts import draw_fills
from backstop.report.book_charts import build_book_charts
from backstop.report.chart_parts import Chart
from backstop.report.debt_charts import draw_debt
from backstop.report.debt_maturity import draw_maturity
from backstop.report.depth_charts import draw_market_depth
from backstop.report.loss_charts import draw_cushions, draw_waterfall
from backstop.report.margin_charts import draw_margin_payments, draw_margin_waterfall
from backstop.report.price_charts import draw_network, draw_prices
from backstop.report.replay_slider import draw_replay
from backstop.simulation.run_directory import Run


def build_charts(run: Run) -> list[Chart]:
    """Build each chart that the run's tables have data for."""
    found = [
        *draw_prices(run),
        draw_network(run),
        draw_fills(run),
        *draw_debt(run),
        draw_maturity(run),
        draw_cushions(run),
        draw_waterfall(run),
    ]
    found += [
        draw_margin_waterfall(run),
        draw_margin_payments(run),
        *build_book_charts(run),
        draw_market_depth(run),
        draw_replay(run),
    ]
    return [chart for chart in found if chart is not None]
