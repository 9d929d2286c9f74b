# pragma version 0.4.3
# pragma evm-version cancun
"""
@title snekmate's ERC-4626 vault, with 1,000 virtual shares to one virtual unit of assets
@license GNU Affero General Public License v3.0 only
"""

from ethereum.ercs import IERC20

from .snekmate.extensions import erc4626
initializes: erc4626

exports: erc4626.__interface__


@deploy
def __init__(asset_: address):
    erc4626.__init__("Vault", "VLT", IERC20(asset_), 3, "Vault", "1")
