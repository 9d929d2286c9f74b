# pragma version 0.4.3
# pragma evm-version cancun
"""
@title snekmate's ERC-20, with six decimals, which its deployer may mint
@license GNU Affero General Public License v3.0 only
"""

from snekmate.auth import ownable
from snekmate.tokens import erc20
initializes: ownable
initializes: erc20[ownable := ownable]

exports: erc20.__interface__


@deploy
def __init__():
    ownable.__init__()
    erc20.__init__("Asset", "AST", 6, "Asset", "1")
