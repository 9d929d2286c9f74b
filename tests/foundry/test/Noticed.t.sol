// SPDX-License-Identifier: AGPL-3.0-only
pragma solidity ^0.8.20;

import "../src/Handler.sol";

/// Each property has to fail when what it is about is broken on the chain. The first test of each pair plays the same
/// story unbroken, so that it is the break that is noticed.
contract NoticedTest {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    uint256 internal constant WAD = 1e18;
    uint256 internal constant RAY = 1e27;
    uint256 internal constant RAD = 1e45;
    Handler internal h;
    address internal ann;
    address internal bea;
    address internal cid;

    function setUp() public {
        h = new Handler();
        (ann, bea, cid) = (h.people(0), h.people(1), h.people(2));
    }

    function quiet() internal view {
        require(h.mask() == 0, h.firstMessage());
    }

    function noticed(uint256 p) internal view {
        require(h.mask() & (1 << p) != 0, string.concat("not noticed; else: ", h.firstMessage()));
    }

    /// A slot of `where` that `data` reads, by its place among the reads.
    function reads(address where, bytes memory data) internal returns (bytes32[] memory slots) {
        vm.record();
        (bool ok,) = where.staticcall(data);
        require(ok, "view");
        (slots,) = vm.accesses(where);
    }

    /// Ann owes 45,000 against 10 bitcoin's worth 75,000; the price falls to a quarter, and her lot is sold for less than the debt.
    function deficit() internal {
        h.draw(ann, 1, 125 * WAD / 100, 45_000 * WAD);
        h.setPrice(1, 15_000 * RAY);
        h.liquidateOne(1, ann);
        uint256 id = h.auction().last_id();
        h.silence(1);
        h.takeOne(id, type(uint96).max);
        require(h.lotOf(id).lot == 0 && h.lotOf(id).principal > 0, "no deficit");
        h.auction().close(id);
        h.silence(2);
        quiet();
        require(h.engine().deficit_of(1) > 10_000 * RAD, "small deficit");
    }

    function test_noticed_01_a_rad_in_the_reserve() public {
        h.silence(1);
        quiet();
        address e = address(h.engine());
        bytes32 slot = reads(e, abi.encodeCall(IEngine.reserve, ()))[0];
        vm.store(e, slot, bytes32(uint256(vm.load(e, slot)) + 1));
        h.silence(1);
        noticed(1);
    }

    function test_noticed_02_a_wei_without_a_posting() public {
        address coin = address(h.coin());
        vm.prank(address(h.engine()));
        (bool ok,) = coin.call(abi.encodeWithSignature("mint(address,uint256)", ann, 1));
        require(ok, "mint");
        h.silence(1);
        noticed(2);
    }

    function test_noticed_03_a_safe_vault() public {
        h.draw(ann, 0, 20 * WAD, 10_000 * WAD);
        h.liquidateOne(0, ann);
        quiet();
        address f = address(h.feed());
        vm.mockCall(f, abi.encodeCall(IFeed.liquidation_price, (0)), abi.encode(600 * RAY));
        vm.mockCall(f, abi.encodeCall(IFeed.sale_prices, (0)), abi.encode(600 * RAY, 2000 * RAY));
        h.liquidateOne(0, ann);
        noticed(3);
    }

    function test_noticed_04_a_draw_under_the_ratio() public {
        h.draw(ann, 0, 10 * WAD, 13_334 * WAD);
        quiet();
        vm.mockCall(address(h.feed()), abi.encodeCall(IFeed.risk_price, (0)), abi.encode(2001 * RAY));
        h.draw(ann, 0, 10 * WAD, 13_334 * WAD);
        noticed(4);
    }

    function test_noticed_04_a_draw_over_the_ceiling() public {
        address e = address(h.engine());
        Terms memory t = h.engine().terms_of(2);
        t.ceiling = 1; // as the harness sees it: a wrong constant
        vm.mockCall(e, abi.encodeCall(IEngine.terms_of, (2)), abi.encode(t));
        h.draw(ann, 2, 20 * WAD, 10_000 * WAD);
        noticed(4);
    }

    function test_noticed_05_payments_forgotten() public {
        deficit();
        address w = address(h.waterfall());
        uint256 before = vm.snapshotState();
        vm.record();
        h.coverOne(1);
        (, bytes32[] memory slots) = vm.accesses(w);
        bytes32[] memory old = new bytes32[](slots.length);
        vm.revertToState(before);
        for (uint256 i; i < slots.length; i++) old[i] = vm.load(w, slots[i]);
        h.coverOne(1);
        quiet();
        h.coverOne(1); // again: nothing more
        quiet();
        uint256 found;
        for (uint256 i; i < slots.length; i++) {
            uint256 here = vm.snapshotState();
            vm.store(w, slots[i], old[i]);
            try h.coverOne(1) {
                if (h.mask() & (1 << 5) != 0) found++;
            } catch {}
            vm.revertToState(here);
        }
        require(found > 0, "no forgotten payment was noticed");
    }

    function test_noticed_06_a_stage_passed_over() public {
        deficit();
        h.draw(bea, 0, 100 * WAD, 10_000 * WAD);
        address junior = address(h.pools(0));
        vm.mockCall(junior, abi.encodeWithSelector(IPool.capacity.selector), abi.encode(uint256(0)));
        h.coverOne(1);
        noticed(6);
    }

    function test_noticed_07_a_member_spared() public {
        deficit();
        h.beforeCover(1);
        (bool ok, uint256[8] memory paid) = h.coverAndRead(1);
        require(ok && paid[3] > 0, "Junior did not pay");
        IPool junior = h.pools(0);
        uint256 some = junior.balanceOf(ann) / 1000;
        vm.prank(ann);
        junior.transfer(bea, some);
        h.afterCover(1, paid);
        noticed(7);
    }

    function test_noticed_07_a_newcomer_who_pays() public {
        h.poolDeposit(1);
        quiet();
        for (uint256 i; i < 3; i++) {
            vm.mockCall(address(h.pools(i)), abi.encodeWithSelector(IPool.deposit.selector), abi.encode(uint256(0)));
        }
        h.poolDeposit(2);
        noticed(7);
    }

    function leaver(bool blind) internal {
        IPool junior = h.pools(0);
        uint256 shares = junior.balanceOf(ann);
        vm.prank(ann);
        junior.requestRedeem(shares / 2, ann, ann);
        h.waits(86_400);
        h.cut(0);
        h.draw(bea, 0, 16 * WAD, 20_000 * WAD);
        h.waits(87_000);
        h.setPrice(0, 1300 * RAY);
        h.flagAll(0);
        h.waits(3600);
        require(h.reaching(0) > 1000 * WAD, "no doubt");
        if (blind) {
            vm.mockCall(
                address(h.waterfall()),
                abi.encodeWithSelector(IWaterfall.losses_at_payment.selector),
                abi.encode(uint256(0))
            );
        }
        h.settleOne(0);
    }

    function test_noticed_08_the_same_with_open_eyes() public {
        leaver(false);
        quiet();
    }

    function test_noticed_08_a_leaver_paid_in_full() public {
        leaver(true);
        noticed(8);
    }

    function test_noticed_09_claims_without_a_loss() public {
        deficit();
        h.coverOne(1);
        h.silence(1);
        quiet();
        IClaims c = h.claims(0);
        vm.prank(address(h.pools(0)));
        c.record(0, 1e24, 1e9);
        h.silence(1);
        noticed(9);
    }

    function spend(bool blind) internal {
        h.draw(bea, 0, 100 * WAD, 30_000 * WAD);
        h.waits(200 days);
        h.engine().accrue(0);
        deficit();
        h.waits(3600);
        if (blind) {
            vm.mockCall(
                address(h.waterfall()),
                abi.encodeWithSelector(IWaterfall.debt_at_risk_at_payment.selector),
                abi.encode(uint256(0))
            );
        }
        h.distributeNow();
    }

    function test_noticed_10_the_same_with_open_eyes() public {
        spend(false);
        quiet();
        require(h.refusals() == 1, "no deficit");
    }

    function test_noticed_10_spent_with_a_deficit_open() public {
        spend(true);
        noticed(10);
    }

    function test_noticed_11_an_auction_that_began_earlier() public {
        h.draw(ann, 0, 10 * WAD, 13_000 * WAD);
        h.setPrice(0, 1700 * RAY);
        h.liquidateOne(0, ann);
        quiet();
        uint256 id = h.auction().last_id();
        Lot memory was = h.lotOf(id);
        address a = address(h.auction());
        bytes32[] memory slots = reads(a, abi.encodeCall(IAuction.auction_of, (id)));
        bool moved;
        for (uint256 i; i < slots.length && !moved; i++) {
            bytes32 old = vm.load(a, slots[i]);
            if (uint256(old) >> 207 == 0) continue;
            unchecked {
                vm.store(a, slots[i], bytes32(uint256(old) - (uint256(900) << 207))); // started_at, 15 minutes back
            }
            Lot memory lot = h.lotOf(id);
            moved = lot.startedAt == was.startedAt - 900 && lot.top == was.top && lot.lot == was.lot;
            if (!moved) vm.store(a, slots[i], old);
        }
        require(moved, "no slot");
        h.takeOne(id, was.lot);
        noticed(11);
    }

    function test_noticed_12_a_stranger_with_a_role() public {
        h.tryRestricted(ann, 1, 0, 1);
        quiet();
        address e = address(h.engine());
        vm.prank(h.admin());
        (bool ok,) = e.call(abi.encodeWithSignature("transfer_admin(address)", ann));
        vm.prank(ann);
        (bool ok2,) = e.call(abi.encodeWithSignature("accept_admin()"));
        require(ok && ok2, "transfer");
        h.tryRestricted(ann, 1, 0, 1);
        noticed(12);
    }
}

/// What the documentation says and the contracts do not do: each test passes while that is so (README.md, "Findings").
contract FindingsTest {
    Handler internal h;

    function setUp() public {
        h = new Handler();
    }

    /// treasury.html: "nothing is spent or sold while a deficit is open"; equity.html: "Where a loss comes first, there is
    /// nothing for sale, and takes revert". The takes do revert; the view Treasury.for_sale keeps an amount.
    function test_finding_for_sale_while_a_deficit_is_open() public {
        address bea = h.people(1);
        address ann = h.people(0);
        h.draw(bea, 0, 1000 * 1e18, 190_000 * 1e18);
        h.waits(200 days);
        h.engine().accrue(0);
        h.silence(2); // notes nothing of it
        h.distributeNow();
        require(h.treasury().for_sale() > 100 * 1e18, "nothing was offered");
        h.draw(ann, 2, 2 * 1e18, 2500 * 1e18);
        h.setPrice(2, 1350 * 1e27);
        h.liquidateOne(2, ann);
        uint256 id = h.auction().last_id();
        h.waits(1);
        h.takeOne(id, type(uint96).max);
        h.auction().close(id);
        require(h.engine().deficit_of(2) > 0, "no deficit");
        require(h.mask() == 0, h.firstMessage());
        require(h.treasury().for_sale() > 0, "fixed: nothing is for sale while a deficit is open");
        (bool ok,) = address(h.treasury()).call(abi.encodeWithSignature("sell(uint256,address)", 1, ann));
        require(!ok, "sold");
    }
}

/// A fuzz test of its own for P12: every restricted function, any caller, any amount.
contract RolesTest {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    Handler internal h;

    function setUp() public {
        h = new Handler();
    }

    function test_P12_nobody_but_listed_roles(uint160 who, uint256 x, uint8 c) public {
        if (who < 0x10000) who += 0x10000;
        address a = address(who);
        if (h.isReporter(a)) return;
        if (a == h.admin() || a.code.length > 0 || a == address(vm)) return;
        for (uint256 i; i < 46; i++) h.tryRestricted(a, i, c % 3, x % 1e40);
        require(h.mask() == 0, h.firstMessage());
    }

    /// The rest of roles.html, and what the ABIs show besides: functions of other contracts of the protocol. Every argument is 1.
    function test_P12_the_other_restricted_functions() public {
        closed(address(h.engine()), "add_collateral_type(address,uint256,uint256)");
        closed(address(h.engine()), "retire_collateral_type(uint256)");
        closed(address(h.engine()), "set_fee_dynamic(uint256,bool)");
        closed(address(h.engine()), "set_risk_policy(address)");
        closed(address(h.engine()), "transfer_admin(address)");
        closed(address(h.engine()), "accept_admin()");
        closed(address(h.engine()), "set_called(uint256,address)");
        closed(address(h.engine()), "note_mechanism(uint256)");
        closed(address(h.engine()), "settle_take(uint256,address,uint256,uint256,uint256,address,uint256)");
        closed(address(h.engine()), "reward(uint256,address,uint256)");
        closed(address(h.engine()), "take_salvage(uint256,uint256)");
        closed(address(h.engine()), "begin_settlement()");
        closed(address(h.engine()), "unwind(uint256,address,uint256,uint256)");
        closed(address(h.engine()), "skim(uint256,address,uint256,uint256)");
        closed(address(h.engine()), "net()");
        closed(address(h.engine()), "redeem(address,uint256)");
        closed(address(h.engine()), "pay_out(uint256,uint256,address)");
        closed(address(h.engine()), "cover_from_buyer(uint256,address,address,uint256)");
        closed(address(h.auction()), "add_terms(uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256)");
        closed(address(h.auction()), "set_curve(uint256,uint256,uint256,uint256,uint256,uint256)");
        closed(address(h.auction()), "write_off(uint256,uint256)");
        closed(address(h.auction()), "reserve_id()");
        closed(address(h.auction()), "settle_payment(uint256,address,uint256,uint256,uint256,address,uint256)");
        closed(address(h.auction()), "foreclose(uint256,uint256,address,uint256,uint256,uint256,address)");
        closed(address(h.auction()), "unwind_workout(uint256,address,uint256,uint256)");
        closed(address(h.auction()), "set_minimum(uint256,uint256)");
        closed(address(h.liquidation()), "set_mechanism(uint256,address)");
        closed(address(h.liquidation()), "write_down(uint256,uint256)");
        closed(address(h.liquidation()), "move_to_workout(uint256,address,uint256,uint256)");
        closed(address(h.waterfall()), "retire(uint256)");
        closed(address(h.waterfall()), "wind_up()");
        closed(address(h.waterfall()), "close_books()");
        closed(address(h.waterfall()), "book_payment(uint256,address,uint256)");
        closed(address(h.waterfall()), "release(uint256)");
        closed(address(h.treasury()), "set_insurance(uint256,uint256)");
        closed(h.settlement(), "cancel_announcement()");
        closed(address(h.pools(1)), "claw_back(uint256,uint256)");
        closed(address(h.claims(1)), "issue(address,uint256,uint256,uint256,uint256,uint256)");
        closed(address(h.equity()), "reserve_mint(uint256)");
        closed(address(h.equity()), "release_mint(uint256)");
        closed(address(h.equity()), "mint_reserved(address,uint256,uint256)");
        closed(address(h.staked()), "restore(uint256)");
        closed(address(h.coin()), "burn_allowed(address,address,uint256)");
        closed(h.waterfall().stage_terms(0).stage, "absorb(uint256,uint256)");
    }

    event Refused(string signature, string why);

    function closed(address to, string memory signature) internal {
        bytes memory data = abi.encodePacked(bytes4(keccak256(bytes(signature))));
        for (uint256 i; i < 10; i++) data = abi.encodePacked(data, uint256(1));
        vm.prank(address(0xCCCC));
        (bool ok, bytes memory ret) = to.call(data);
        require(!ok, string.concat("a stranger may call ", signature));
        string memory why;
        if (ret.length >= 68) {
            assembly {
                let n := mload(ret)
                ret := add(ret, 4)
                mstore(ret, sub(n, 4))
            }
            why = abi.decode(ret, (string));
        }
        emit Refused(signature, why);
    }
}
