// SPDX-License-Identifier: AGPL-3.0-only
pragma solidity 0.8.37;

enum Rounding {
    Floor,
    Ceil
}

/// What there is a mutant of, once each – beside a sign that is three bytes long.
contract Ledger {
    event Paid(address from, address to, uint256 amount);
    error Empty(address owner);

    mapping(address owner => uint256) public balances;

    function pay(address to, uint256 amount) external {
        if (to == address(0)) {
            revert Empty(to);
        }
        require(balances[msg.sender] >= amount && !_isShut(), "short");
        balances[msg.sender] -= amount;
        balances[to] = balances[to] + amount;
        _note(amount, Rounding.Floor, true);
        emit Paid(msg.sender, to, amount);
    }

    function _isShut() private pure returns (bool) {
        return false;
    }

    function _note(uint256 amount, Rounding rounding, bool isNew) private {}
}
