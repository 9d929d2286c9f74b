// SPDX-License-Identifier: AGPL-3.0-only
pragma solidity 0.8.37;

/// The part of forge-std that the tests use: npm has no whole one. Foundry's users do not write it.
interface Vm {
    function prank(address sender) external;
    function expectRevert(bytes calldata data) external;
    function expectPartialRevert(bytes4 selector) external;
    function expectEmit(address emitter) external;
    function getCode(string calldata path) external view returns (bytes memory);
    function assertEq(uint256 left, uint256 right) external pure;
    function assertEq(address left, address right) external pure;
    function assertEq(string calldata left, string calldata right) external pure;
    function assertTrue(bool condition) external pure;
}

abstract contract Test {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    bool public IS_TEST = true;
    address[] private _targets;

    function targetContract(address target) internal {
        _targets.push(target);
    }

    function targetContracts() external view returns (address[] memory) {
        return _targets;
    }

    /// As forge-std's: ends are likely, the rest is even.
    function bound(uint256 x, uint256 least, uint256 most) internal pure returns (uint256) {
        uint256 size = most - least + 1;
        if (x >= least && x <= most) return x;
        if (x <= 3 && size > x) return least + x;
        if (x >= type(uint256).max - 3 && size > type(uint256).max - x) return most - (type(uint256).max - x);
        return least + x % size;
    }

    function deployCode(string memory path, bytes memory args) internal returns (address made) {
        bytes memory code = abi.encodePacked(vm.getCode(path), args);
        assembly {
            made := create(0, add(code, 0x20), mload(code))
        }
        require(made != address(0), "deployCode");
    }
}
