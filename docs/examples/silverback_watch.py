r"""A bot of Silverback that tells of each liquidation.

APE_FOUNDRY_HOST=http://127.0.0.1:8545 DEPLOYMENT=deployment.json \
    tools/silverback/.venv/bin/silverback run docs.examples.silverback_watch --network ethereum:local:foundry
"""

import os

from silverback import SilverbackBot

import backstop

bot = SilverbackBot()
contracts = backstop.attach(os.environ.get("DEPLOYMENT", "deployment.json")).ape  # where Ape is connected


@bot.on_(contracts.LiquidationEngine.Liquidated)
def report_liquidation(log):
    debt, sold = log.principal / 10**45, log.collateral / 10**18
    sale = f"auction {log.auction_id} sells {sold:,.2f}"
    print(f"block {log.block_number}: {log.owner} owed {debt:,.0f}, {sale}", flush=True)
    return {"debt": debt}
