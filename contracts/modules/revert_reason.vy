# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title revert_reason
@license GNU Affero General Public License v3.0 only
@notice Reverts with a reason, from one place.
@dev An `assert` with a reason takes 115 bytes of code each time, since the compiler encodes the reason where
     it stands; a call takes 60, and costs as little while nothing is wrong. For contracts near the limit of
     size.
"""


@internal
@pure
def _raise(reason: String[32]):
    """@dev Revert, for any caller; the caller's condition is the forbidden case."""
    raise reason
