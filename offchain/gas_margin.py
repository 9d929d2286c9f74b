"""Gas of the margin market: what traders, liquidators and whoever deleverages pay."""

from __future__ import annotations

from dataclasses import replace

from offchain.chain.anvil import AnvilHost
from offchain.chain.host import CHAIN_ID
from offchain.deployment import DomainParameters, MarginParameters, PerpetualParameters, standard
from offchain.gas_jobs import Jobs
from offchain.model.arithmetic import MAX_UINT256, RAY, WAD
from offchain.model.margin_orders import Order
from offchain.order_signing import sign_order

__all__ = ["Margin"]

SHORTS = 10
