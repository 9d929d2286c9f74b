// SPDX-License-Identifier: AGPL-3.0-only
pragma solidity ^0.8.20;

/// A token whose owner can pause it; owner, fee and flag share a slot.
contract Coin {
    error Insufficient(address owner, uint256 held, uint256 wanted);
    error Paused();

    event Moved(address indexed sender, address indexed receiver, uint256 amount);

    string public name;
    address public owner;
    uint16 public fee;
    bool public paused;
    uint256 public total;
    mapping(address => uint256) internal _balances;
    mapping(address => mapping(address => uint256)) public allowance;

    constructor(string memory name_, uint256 supply, uint16 fee_) {
        name = name_;
        owner = msg.sender;
        fee = fee_;
        total = supply;
        _balances[msg.sender] = supply;
    }

    function balanceOf(address who) external view returns (uint256) {
        return _balances[who];
    }

    function setPaused(bool to) external {
        require(msg.sender == owner, "not the owner");
        paused = to;
    }

    function approve(address spender, uint256 amount) external returns (bool) {
        allowance[msg.sender][spender] = amount;
        return true;
    }

    function transfer(address receiver, uint256 amount) external returns (bool) {
        _move(msg.sender, receiver, amount);
        return true;
    }

    function transferFrom(address from, address receiver, uint256 amount) external returns (bool) {
        allowance[from][msg.sender] -= amount;
        _move(from, receiver, amount);
        return true;
    }

    function _move(address from, address receiver, uint256 amount) internal {
        if (paused) revert Paused();
        if (_balances[from] < amount) revert Insufficient(from, _balances[from], amount);
        _balances[from] -= amount;
        _balances[receiver] += amount;
        emit Moved(from, receiver, amount);
    }
}

/// Deposits with a record for each account, the list of all depositors, and the time of the last change.
contract Vault {
    struct Position {
        uint128 amount;
        uint64 since;
        uint256 deposits;
    }

    Coin public immutable coin;
    mapping(address => Position) public positions;
    address[] public depositors;
    uint256[2] public flows;
    mapping(bytes32 => uint256) public tags;

    constructor(Coin coin_) {
        coin = coin_;
    }

    function deposit(uint128 amount) external {
        coin.transferFrom(msg.sender, address(this), amount);
        Position storage position = positions[msg.sender];
        if (position.deposits == 0) depositors.push(msg.sender);
        position.amount += amount;
        position.since = uint64(block.timestamp);
        position.deposits += 1;
        flows[0] += amount;
    }

    function withdraw(uint128 amount) external {
        Position storage position = positions[msg.sender];
        position.amount -= amount;
        position.since = uint64(block.timestamp);
        flows[1] += amount;
        coin.transfer(msg.sender, amount);
    }
}
