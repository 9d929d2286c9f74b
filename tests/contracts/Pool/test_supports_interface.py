"""supportsInterface, share: which standards a pool says it keeps."""

from backstop.evm_crypto import keccak256

REDEMPTION = (
    "requestRedeem(uint256,address,address)",
    "pendingRedeemRequest(uint256,address)",
    "claimableRedeemRequest(uint256,address)",
)
ITSELF = ("supportsInterface(bytes4)",)
OPERATORS = ("setOperator(address,bool)", "isOperator(address,address)")
# ERC-7575 means the parts of ERC-4626, each way in and out, and `share`.
VAULT = (
    *("asset()", "share()", "totalAssets()", "convertToShares(uint256)", "convertToAssets(uint256)"),
    *("deposit(uint256,address)", "previewDeposit(uint256)", "maxDeposit(address)"),
    *("mint(uint256,address)", "previewMint(uint256)", "maxMint(address)"),
    *("redeem(uint256,address,address)", "previewRedeem(uint256)", "maxRedeem(address)"),
    *("withdraw(uint256,address,address)", "previewWithdraw(uint256)", "maxWithdraw(address)"),
)


def interface(functions: tuple[str, ...]) -> bytes:
    """As ERC-165 computes it: all selectors, each bit the parity of theirs."""
    found = 0
    for function in functions:
        found ^= int.from_bytes(keccak256(function.encode())[:4], "big")
    return found.to_bytes(4, "big")


def test_a_pool_with_requests_says_so(protocol):
    for functions in (ITSELF, VAULT, REDEMPTION, OPERATORS):
        assert protocol.read("Savings.supportsInterface", interface(functions))
    asynchronous_deposits = bytes.fromhex("ce3bbe50")
    for other in (b"\xff\xff\xff\xff", bytes(4), asynchronous_deposits):
        assert not protocol.read("Savings.supportsInterface", other)


def test_a_pool_without_is_an_erc_4626_vault(naive):
    for functions in (ITSELF, VAULT):
        assert naive.read("Savings.supportsInterface", interface(functions))
    for missing in (REDEMPTION, OPERATORS):
        assert not naive.read("Savings.supportsInterface", interface(missing))


def test_its_shares_are_its_own(protocol):
    assert protocol.read("Savings.share") == protocol.address("Savings")
