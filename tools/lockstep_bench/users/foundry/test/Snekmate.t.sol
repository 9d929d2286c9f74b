// SPDX-License-Identifier: AGPL-3.0-only
pragma solidity 0.8.37;

import {Failure, VaultHandler, VaultInvariants} from "./VaultHandler.sol";

contract SnekmateHandler is VaultHandler {
    function _expectRevert(Failure failure) internal override {
        string[10] memory reasons = [
            "",
            "erc20: transfer amount exceeds balance",
            "erc20: mint to the zero address",
            "erc4626: withdraw more than maximum",
            "erc4626: redeem more than maximum",
            "erc20: insufficient allowance",
            "erc20: approve from the zero address",
            "erc20: approve to the zero address",
            "erc20: transfer to the zero address",
            "erc20: transfer amount exceeds balance"
        ];
        vm.expectRevert(bytes(reasons[uint256(failure)]));
    }
}

contract SnekmateTest is VaultInvariants {
    function setUp() external {
        _use(new SnekmateHandler());
    }
}
