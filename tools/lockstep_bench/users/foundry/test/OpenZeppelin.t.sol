// SPDX-License-Identifier: AGPL-3.0-only
pragma solidity 0.8.37;

import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";

import {Failure, VaultHandler, VaultInvariants} from "./VaultHandler.sol";

contract OpenZeppelinHandler is VaultHandler {
    function _expectRevert(Failure failure) internal override {
        bytes4[10] memory selectors = [
            bytes4(0),
            IERC20Errors.ERC20InsufficientBalance.selector,
            IERC20Errors.ERC20InvalidReceiver.selector,
            ERC4626.ERC4626ExceededMaxWithdraw.selector,
            ERC4626.ERC4626ExceededMaxRedeem.selector,
            IERC20Errors.ERC20InsufficientAllowance.selector,
            IERC20Errors.ERC20InvalidApprover.selector,
            IERC20Errors.ERC20InvalidSpender.selector,
            IERC20Errors.ERC20InvalidReceiver.selector,
            IERC20Errors.ERC20InsufficientBalance.selector
        ];
        vm.expectPartialRevert(selectors[uint256(failure)]);
    }
}

contract OpenZeppelinTest is VaultInvariants {
    function setUp() external {
        _use(new OpenZeppelinHandler());
    }
}
