"""Charts of one run, in the order of its page."""

from __future__ import annotations

from backstop.report.auction_purchase_charts import build_auction_purchase_chart
from backstop.report.chart_parts import Chart
from backstop.report.debt_charts import iter_debt_charts
from backstop.report.debt_maturity import build_instalments_due_chart
from backstop.report.fall_liquidation_and_owner_health_charts import build_liquidation_and_owner_charts
from backstop.report.loss_charts import draw_cushions, draw_waterfall
from backstop.report.margin_loss_payment_charts import draw_margin_payments, draw_margin_waterfall
from backstop.report.price_charts import build_gas_and_pending_chart, iter_price_charts
from backstop.report.replay_slider import build_replay_slider_chart
from backstop.report.slippage_by_sale_size_chart import draw_slippage_by_sale_size
from backstop.simulation.run_directory import Run


def build_charts(run: Run) -> list[Chart]:
    """Return the charts of a run for which its tables have data, in the order of the page."""
    found = [
        *iter_price_charts(run),
        build_gas_and_pending_chart(run),
        build_auction_purchase_chart(run),
        *iter_debt_charts(run),
        build_instalments_due_chart(run),
        draw_cushions(run),
        draw_waterfall(run),
    ]
    found += [
        draw_margin_waterfall(run),
        draw_margin_payments(run),
        *build_liquidation_and_owner_charts(run),
        draw_slippage_by_sale_size(run),
        build_replay_slider_chart(run),
    ]
    return [chart for chart in found if chart is not None]
