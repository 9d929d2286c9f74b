// SPDX-License-Identifier: AGPL-3.0-only
pragma solidity ^0.8.20;

import "../src/Handler.sol";

contract BackstopTest {
    Handler internal handler;

    function setUp() public {
        handler = new Handler();
    }

    function targetContracts() public view returns (address[] memory list) {
        list = new address[](1);
        list[0] = address(handler);
    }

    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    function targetSelectors() public view returns (FuzzSelector[] memory list) {
        bytes4[35] memory s = [
            Handler.disaster.selector, Handler.disaster.selector, Handler.leave.selector, Handler.leave.selector, Handler.recover.selector, Handler.open.selector, Handler.draws.selector, Handler.repay.selector,
            Handler.withdraw.selector, Handler.movePrice.selector, Handler.crash.selector, Handler.pass.selector,
            Handler.silence.selector, Handler.flag.selector, Handler.liquidate.selector, Handler.liquidate.selector,
            Handler.take.selector, Handler.resets.selector, Handler.close.selector, Handler.close.selector, Handler.poolCutSettle.selector, Handler.sellSalvage.selector,
            Handler.cover.selector, Handler.cover.selector, Handler.poolDeposit.selector, Handler.poolRequest.selector,
            Handler.poolCutSettle.selector, Handler.poolClaim.selector, Handler.collectClaims.selector,
            Handler.distribute.selector, Handler.incomeOrGift.selector, Handler.stake.selector,
            Handler.equityAuction.selector, Handler.surplusAuction.selector, Handler.stranger.selector
        ];
        list = new FuzzSelector[](1);
        list[0].addr = address(handler);
        list[0].selectors = new bytes4[](s.length);
        for (uint256 i; i < s.length; i++) list[0].selectors[i] = s[i];
    }

    function invariant_twelve_properties() public view {
        require(handler.mask() == 0, handler.firstMessage());
    }

    function afterInvariant() public {
        handler.counted("counts.txt");
    }
}
