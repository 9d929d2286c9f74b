"""A liquidator on web3.py: with each new block it liquidates every vault that the contracts let it.

KEEPER_KEY=0x... python docs/examples/web3_liquidator.py deployment.json http://127.0.0.1:8545
"""

import os
import sys
import time

from eth_account import Account
from web3 import Web3
from web3.exceptions import ContractLogicError
from web3.logs import DISCARD
from web3.middleware import SignAndSendRawMiddlewareBuilder

import backstop

file, url = sys.argv[1:]
w3, keeper = Web3(Web3.HTTPProvider(url)), Account.from_key(os.environ["KEEPER_KEY"])
w3.middleware_onion.inject(SignAndSendRawMiddlewareBuilder.build(keeper), layer=0)
deployed = backstop.attach(file, url)
contracts, seen, vaults = deployed.web3(w3), deployed.deployment.block, set()
liquidations = contracts.LiquidationEngine
while True:
    if (head := w3.eth.block_number) == seen:
        time.sleep(0.1)  # a block announces itself to nobody over HTTP
        continue
    for event in contracts.VaultEngine.events.VaultChanged().get_logs(from_block=seen + 1, to_block=head):
        vaults.add((event["args"]["collateral_type"], event["args"]["owner"]))
    seen = head
    for vault in sorted(vaults):
        try:
            sent = liquidations.functions.liquidate(*vault, keeper.address).transact({"from": keeper.address})
        except ContractLogicError:  # it is safe, or has no debt
            continue
        receipt = w3.eth.wait_for_transaction_receipt(sent)
        for event in liquidations.events.Liquidated().process_receipt(receipt, DISCARD):
            print(f"block {event['blockNumber']}: {dict(event['args'])}", flush=True)
