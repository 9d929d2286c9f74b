// SPDX-License-Identifier: AGPL-3.0-only
pragma solidity ^0.8.20;

import "./Properties.sol";

/// Acts for many accounts through the deployed contracts; each action checks what the documentation promises of it.
contract Handler is Properties {
    uint256 internal constant ACTIONS = 29;
    uint256[29] public calls;
    uint256[29] public successes;
    bool internal explain;
    bytes32 internal constant COVERED = keccak256("LossCovered(uint256,uint256,uint256,uint256)");
    bytes32 internal constant RESERVED = keccak256("LossReserved(uint256,uint256,uint256,uint256)");

    string[29] internal names = [
        "open", "deposit_and_draw", "repay", "withdraw", "move_price", "crash", "pass", "silence", "flag", "liquidate",
        "take", "reset", "close", "sell_salvage", "cover", "pool_deposit", "pool_request", "pool_settle", "pool_claim",
        "collect_claims", "distribute", "income_or_gift", "stake", "equity_auction", "surplus_auction", "stranger",
        "disaster", "leave_in_doubt", "recover"
    ];

    constructor() {
        explain = vm.envOr("EXPLAIN", false);
        load();
        time = block.timestamp;
        for (uint256 i; i < 3; i++) post();
        // the whale lends to everybody, with collateral of fifty times its debt
        fund(whale, 0, 8000 * WAD);
        open_(whale, 0, 8000 * WAD, 200_000 * WAD);
        fund(whale, 1, 200 * WAD);
        open_(whale, 1, 200 * WAD, 150_000 * WAD);
        expectedSupply = 350_000 * WAD;
        for (uint256 i; i < MEMBERS; i++) {
            address who = people[i];
            vm.prank(whale);
            coin.transfer(who, 10_000 * WAD);
            vm.prank(admin);
            equity.transfer(who, 20_000 * WAD);
            approveAll(who);
        }
        approveAll(whale);
        for (uint256 i; i < 3; i++) deposit_(people[i], i, 3000 * WAD);
        books();
    }

    function approveAll(address who) internal {
        for (uint256 i; i < 3; i++) {
            vm.prank(who);
            coin.approve(address(pools[i]), type(uint256).max);
            vm.prank(who);
            coin.approve(address(claims[i]), type(uint256).max);
        }
        vm.prank(who);
        coin.approve(address(stakeAuction), type(uint256).max);
        vm.prank(who);
        coin.approve(address(mintAuction), type(uint256).max);
        vm.prank(who);
        equity.approve(address(staked), type(uint256).max);
        vm.prank(who);
        equity.approve(address(surplus), type(uint256).max);
    }

    // ------------------------------------------------------------------ frame

    uint256 internal action;
    bool internal noted;

    modifier acts(uint256 id) {
        vm.warp(time);
        action = id;
        noted = false;
        calls[id]++;
        _;
        books();
    }

    function done(bool ok, bytes memory ret) internal {
        if (ok) {
            if (!noted) successes[action]++;
            noted = true;
        } else if (explain) {
            vm.writeLine("reasons.txt", string.concat(names[action], " ", reason(ret)));
        }
    }

    function skip(string memory why) internal {
        if (explain) vm.writeLine("reasons.txt", string.concat(names[action], " - ", why));
    }

    function mix(uint256 seed, uint256 salt) internal pure returns (uint256) {
        return uint256(keccak256(abi.encode(seed, salt)));
    }

    function who_(uint256 seed) internal view returns (address) {
        return people[mix(seed, 1) % MEMBERS];
    }

    /// A type and an owner whose vault has debt, if there is one.
    function indebted(uint256 seed) internal view returns (uint256 c, address who) {
        for (uint256 k; k < TYPES * MEMBERS; k++) {
            c = (mix(seed, 2) + k) % TYPES;
            who = people[(mix(seed, 1) + k / TYPES) % MEMBERS];
            if (engine.vault(c, who).normalized > 0) return (c, who);
        }
    }

    function between(uint256 x, uint256 low, uint256 high) internal pure returns (uint256) {
        return low + x % (high - low + 1);
    }

    function fund(address who, uint256 c, uint256 amount) internal {
        IERC20 token = IERC20(engine.terms_of(c).token);
        token.mint(who, amount / engine.unit_of(c));
        vm.prank(who);
        token.approve(address(engine), type(uint256).max);
    }

    function open_(address who, uint256 c, uint256 collateral, uint256 amount) internal {
        vm.prank(who);
        engine.deposit_and_draw(c, who, collateral, amount, who);
    }

    // ------------------------------------------------------------------ vaults: P04

    /// A new loan of 155% to 260%.
    function open(uint256 seed) external acts(0) {
        uint256 c = mix(seed, 2) % TYPES;
        uint256 amount = between(mix(seed, 3), 2500, 30_000) * WAD;
        uint256 ratio = between(mix(seed, 4), 155, 260);
        uint256 worst = riskPrice(c);
        if (worst == 0) return skip("no price");
        uint256 collateral = amount * ratio / 100 * RAY / worst;
        if (collateral > 1e28) return skip("worthless");
        draw(who_(seed), c, collateral, amount);
    }

    /// A draw at, or just beyond, one of the limits.
    function draws(uint256 seed) external acts(1) {
        (uint256 c, address who) = indebted(seed);
        engine.accrue(c);
        uint256 mode = mix(seed, 5) % 8;
        uint256 collateral;
        uint256 amount;
        if (mode % 4 == 3) {
            (collateral, amount) = toTheCeiling(c, who, mix(seed, 7) % 2);
        } else {
            if (mode >= 5) collateral = worthOf(c, between(mix(seed, 6), 1, 40_000));
            amount = mostDrawn(c, who, collateral);
            if (mode % 4 == 1) amount += 1;
            if (mode % 4 == 2) amount = amount / 2 + 1;
        }
        if (collateral > 1e28) return skip("worthless");
        draw(who, c, collateral, min(amount, 400_000 * WAD));
    }

    function worthOf(uint256 c, uint256 coins) internal view returns (uint256 collateral) {
        uint256 worst = riskPrice(c);
        collateral = coins * WAD * RAY / (worst == 0 ? base[c] : worst);
        collateral -= collateral % engine.unit_of(c);
    }

    /// "and not one wei more" (vaults.html)
    function mostDrawn(uint256 c, address who, uint256 collateral) internal view returns (uint256) {
        uint256 rate = engine.debts_of(c).rate;
        Vault memory v = engine.vault(c, who);
        uint256 most = (v.locked + collateral) * riskPrice(c) * 1e4 / engine.terms_of(c).initialRatio / rate;
        return most > v.normalized ? (most - v.normalized) * rate / RAY : 1;
    }

    function toTheCeiling(uint256 c, address who, uint256 more) internal view returns (uint256 collateral, uint256 amount) {
        uint256 rate = engine.debts_of(c).rate;
        uint256 ceiling = engine.terms_of(c).ceiling * RAD;
        uint256 debt = typeDebt(c);
        if (ceiling > debt) amount = (ceiling - debt) / rate * rate / RAY;
        amount += more;
        Vault memory v = engine.vault(c, who);
        uint256 need = (v.normalized + amount * RAY / rate + 2) * rate / 1e4 * engine.terms_of(c).initialRatio;
        uint256 worst = riskPrice(c);
        if (worst > 0 && v.locked * worst < need) {
            collateral = need / worst - v.locked + 2 * engine.unit_of(c);
            collateral -= collateral % engine.unit_of(c);
        }
    }

    struct Want {
        bool ceiling;
        bool floor;
        bool ratio;
        bool total;
        bool nearTotal;
        bool price;
    }

    function wanted(address who, uint256 c, uint256 collateral, uint256 amount) internal returns (Want memory w) {
        engine.accrue(c);
        Debts memory d = engine.debts_of(c);
        Terms memory t = engine.terms_of(c);
        Vault memory v = engine.vault(c, who);
        uint256 more = ceil(amount * RAY, d.rate);
        uint256 debt = (v.normalized + more) * d.rate;
        uint256 worst = riskPrice(c);
        collateral -= collateral % engine.unit_of(c);
        w.ceiling = typeDebt(c) + more * d.rate <= t.ceiling * RAD;
        w.floor = debt >= t.floor * RAD;
        w.price = worst > 0;
        w.ratio = (v.locked + collateral) * worst * 1e4 >= debt * t.initialRatio;
        uint256 all = allDebt() + more * d.rate;
        w.total = all <= 600_000 * RAD;
        w.nearTotal = all + 4 * RAD > 600_000 * RAD; // storage-layout.html: counted too high by a stablecoin a type
    }

    function draw(address who, uint256 c, uint256 collateral, uint256 amount) public {
        fund(who, c, collateral);
        Want memory w = wanted(who, c, collateral, amount);
        (bool ok, bytes memory ret) =
            call_(who, address(engine), abi.encodeCall(IEngine.deposit_and_draw, (c, who, collateral, amount, who)));
        done(ok, ret);
        if (ok) {
            expectedSupply += amount;
            if (amount == 0) return; // a deposit reads no price and no ceiling
            check(4, w.ceiling, "drawn over the debt ceiling");
            check(4, w.floor, "drawn under the debt floor");
            check(4, w.price, "drawn without a price");
            check(4, w.ratio, "drawn under the initial ratio");
            check(4, w.total, "drawn over the global ceiling");
        } else if (amount > 0) {
            check(
                4,
                !(w.ceiling && w.floor && w.ratio && w.total && w.price) || w.nearTotal,
                string.concat("a draw within all limits refused: ", reason(ret))
            );
        }
    }

    function repay(uint256 seed) external acts(2) {
        (uint256 c, address who) = indebted(seed);
        address payer = mix(seed, 3) % 4 == 0 ? people[mix(seed, 4) % MEMBERS] : who;
        engine.accrue(c);
        uint256 whole = ceil(engine.vault(c, who).normalized * engine.debts_of(c).rate, RAY);
        if (whole == 0) return skip("no debt");
        uint256 amount = mix(seed, 5) % 3 == 0 ? whole + mix(seed, 6) % 2 : whole * between(mix(seed, 6), 1, 120) / 100;
        uint256 lacks = coin.balanceOf(payer) < amount ? amount - coin.balanceOf(payer) : 0;
        if (lacks > 0 && coin.balanceOf(whale) > lacks) {
            vm.prank(whale);
            coin.transfer(payer, lacks);
        }
        repayOne(c, who, payer, amount);
    }

    /// ledger.html, "repay w": what is burned, and the normalized debt that it takes off
    function posted(uint256 c, address who, uint256 amount) internal view returns (uint256 burned, uint256 off) {
        uint256 rate = engine.debts_of(c).rate;
        off = engine.vault(c, who).normalized;
        uint256 whole = ceil(off * rate, RAY);
        if (amount >= whole) return (whole, off);
        uint256 floor = engine.terms_of(c).floor * RAD;
        uint256 most = off * rate >= floor ? off - ceil(floor, rate) : off;
        burned = amount;
        off = burned * RAY / rate;
        if (off > most) {
            off = most;
            burned = ceil(off * rate, RAY);
        }
    }

    function repayOne(uint256 c, address who, address payer, uint256 amount) internal {
        (uint256 burned, uint256 off) = posted(c, who, amount);
        uint256 was = engine.vault(c, who).normalized;
        (bool ok, bytes memory ret) =
            call_(payer, address(engine), abi.encodeCall(IEngine.repay_and_withdraw, (c, who, amount, 0, payer)));
        done(ok, ret);
        if (ok) {
            expectedSupply -= burned;
            check(2, engine.vault(c, who).normalized == was - off, "a repayment took off another debt than the posting");
        } else {
            check(2, off == 0 || coin.balanceOf(payer) < burned, "a repayment refused");
        }
    }

    function withdraw(uint256 seed) external acts(3) {
        (uint256 c, address who) = indebted(seed);
        engine.accrue(c);
        Vault memory v = engine.vault(c, who);
        if (v.locked == 0) return skip("no collateral");
        uint256 unit = engine.unit_of(c);
        uint256 debt = v.normalized * engine.debts_of(c).rate * engine.terms_of(c).initialRatio;
        uint256 worst = riskPrice(c);
        uint256 amount = v.locked;
        if (debt > 0) {
            uint256 keep = worst == 0 ? v.locked : ceil(debt, worst * 1e4);
            amount = keep < v.locked ? (v.locked - keep) / unit * unit : unit;
            if (mix(seed, 4) % 3 == 0) amount += unit;
        }
        if (amount > v.locked) return skip("more than locked");
        if (amount < unit) return skip("nothing to withdraw");
        withdrawOne(c, who, amount, debt == 0 || (worst > 0 && (v.locked - amount) * worst * 1e4 >= debt));
    }

    function withdrawOne(uint256 c, address who, uint256 amount, bool mayLeave) internal {
        (bool ok, bytes memory ret) =
            call_(who, address(engine), abi.encodeCall(IEngine.repay_and_withdraw, (c, who, 0, amount, who)));
        done(ok, ret);
        check(4, ok == mayLeave, ok ? "withdrawn under the initial ratio" : string.concat("a withdrawal refused: ", reason(ret)));
    }

    // ------------------------------------------------------------------ prices and time

    function movePrice(uint256 seed) external acts(4) {
        uint256 i = mix(seed, 2) % 4;
        if (mix(seed, 3) % 3 == 0) {
            price[i] = base[i] * between(mix(seed, 4), 80, 120) / 100;
        } else {
            price[i] = price[i] * between(mix(seed, 4), 80, 119) / 100;
        }
        bound(i);
        post();
        if (mix(seed, 5) % 2 == 0) post();
        done(true, "");
    }

    /// A fall to between 2% and 70% in one step; it counts a step later.
    function crash(uint256 seed) external acts(5) {
        (uint256 i,) = indebted(seed);
        price[i] = price[i] * between(mix(seed, 3), mix(seed, 5) % 4 == 0 ? 2 : 35, 70) / 100;
        if (mix(seed, 6) % 8 == 0) price[i] = base[i] / 100_000;
        bound(i);
        post();
        if (mix(seed, 4) % 4 != 0) post();
        done(true, "");
    }

    function bound(uint256 i) internal {
        if (price[i] < base[i] / 200_000) price[i] = base[i] / 200_000;
        if (price[i] > base[i] * 3) price[i] = base[i] * 3;
    }

    /// Ten minutes to two days, with a fresh price at the end.
    function pass(uint256 seed) external acts(6) {
        tick(mix(seed, 2) % 3 == 0 ? between(mix(seed, 3), 3600, 172_800) : between(mix(seed, 3), 60, 3600));
        post();
        if (mix(seed, 4) % 2 == 0) post();
        done(true, "");
    }

    /// Time without reports.
    function silence(uint256 seed) external acts(7) {
        tick(between(mix(seed, 2), 60, mix(seed, 3) % 6 == 0 ? 20_000 : 1500));
        if (mix(seed, 3) % 24 == 1) tick(275_000); // long enough for a feed to be dead
        done(true, "");
    }

    // ------------------------------------------------------------------ liquidations: P03

    function flag(uint256 seed) external acts(8) {
        flagAll(mix(seed, 2) % TYPES);
    }

    function liquidate(uint256 seed) external acts(9) {
        // any vault, unsafe ones first three times of four
        uint256 c = mix(seed, 2) % TYPES;
        address who = who_(seed);
        if (mix(seed, 3) % 4 != 0) {
            for (uint256 k; k < TYPES * MEMBERS; k++) {
                uint256 c2 = (c + k) % TYPES;
                address w2 = people[(mix(seed, 4) + k / TYPES) % MEMBERS];
                Vault memory v = engine.vault(c2, w2);
                Prices memory q = feed.prices_of(c2);
                if (
                    v.normalized > 0
                        && v.locked * q.current * 1e4
                            < v.normalized * engine.debts_of(c2).rate * engine.terms_of(c2).liquidationRatio
                ) {
                    (c, who) = (c2, w2);
                    break;
                }
            }
        }
        liquidateOne(c, who);
    }

    struct Seize {
        Vault v;
        uint256 rate;
        uint256 ratio;
        uint256 floor;
        uint256 room;
        uint256 price;
        bool isFresh;
        bool unsafe;
        uint256 id;
        uint256 kept;
    }

    function liquidateOne(uint256 c, address who) public {
        engine.accrue(c);
        Seize memory s;
        s.v = engine.vault(c, who);
        if (s.v.normalized == 0) return skip("no debt");
        s.rate = engine.debts_of(c).rate;
        s.ratio = engine.terms_of(c).liquidationRatio;
        s.floor = engine.terms_of(c).floor * RAD;
        {
            uint256 all;
            for (uint256 i; i < TYPES; i++) all += engine.in_auction_of(i);
            uint256 mine = engine.in_auction_of(c);
            uint256 limit = engine.auction_limit_of(c) * RAD;
            uint256 globalLimit = engine.global_auction_limit() * RAD;
            s.room = min(limit > mine ? limit - mine : 0, globalLimit > all ? globalLimit - all : 0);
        }
        s.price = feed.prices_of(c).current;
        s.isFresh = fresh(c) || dead(c);
        s.unsafe = s.v.locked * s.price * 1e4 < s.v.normalized * s.rate * s.ratio;
        s.kept = coin.balanceOf(keeper);
        (bool ok, bytes memory ret) =
            call_(keeper, address(liquidation), abi.encodeCall(ILiquidation.liquidate, (c, who, keeper)));
        done(ok, ret);
        uint256 debt = s.v.normalized * s.rate;
        if (!ok) {
            check(
                3,
                !(s.unsafe && s.isFresh && s.room >= debt && debt >= s.floor),
                string.concat("an unsafe vault with room was not liquidated: ", reason(ret))
            );
            return;
        }
        check(3, s.isFresh, "liquidated at a stale price");
        check(3, s.unsafe, "a vault that is safe by its ratio was liquidated");
        s.id = abi.decode(ret, (uint256));
        Vault memory v = engine.vault(c, who);
        Lot memory lot = lotOf(s.id);
        check(3, lot.principal == (s.v.normalized - v.normalized) * s.rate, "principal is not the debt taken");
        check(3, lot.lot == s.v.locked - v.locked, "the lot is not the collateral taken");
        check(3, v.locked * s.v.normalized >= s.v.locked * v.normalized, "a part lowered the vault's ratio");
        check(3, v.normalized == 0 || lot.principal >= s.floor, "a part under the floor");
        if (s.room >= debt) check(3, v.normalized == 0, "with room for all of it a part was left");
        check(
            3,
            lot.principal <= s.room + s.floor + debt / (s.v.locked / engine.unit_of(c)) + s.rate,
            "over the auction limits by more than the floor and a unit's debt"
        );
        reward(c, lot, coin.balanceOf(keeper) - s.kept);
        note(s.id);
    }

    /// auctions.html, "Target and reward"
    function reward(uint256 c, Lot memory lot, uint256 got) internal {
        Curve memory t = auction.terms_of(c);
        uint256 penalty = lot.principal * (t.penalty - 1e4) / 1e4 / 1e39 * 1e39 / RAY;
        uint256 target = ceil(lot.principal, RAY) + penalty;
        uint256 due = min(t.tip * WAD + t.chip * target / 1e4, penalty);
        expectedSupply += due;
        check(2, got == due, "the reward of a start is not that of the page");
        check(11, lot.target == target * RAY, "the target is not that of the page");
    }

    /// auctions.html, "Price": top = highest known price * buf
    function topped(uint256 c, Lot memory lot) internal {
        Prices memory q = feed.prices_of(c);
        uint256 known = q.current;
        if (fresh(c) && q.next > known) known = q.next;
        check(11, lot.top >= known * auction.terms_of(c).buf / 1e4, "an auction began under the highest known price times buf");
    }

    // ------------------------------------------------------------------ auctions: P11

    /// an auction that is over is not there any more (the view reverts with "no auction")
    function lotOf(uint256 id) public view returns (Lot memory lot) {
        try auction.auction_of(id) returns (Lot memory l) {
            lot = l;
        } catch {}
    }

    function curvePrice(uint256 c, uint256 top, uint256 t) public view returns (uint256) {
        Curve memory k = auction.terms_of(c);
        if (k.curve == 0) return t >= k.period ? 0 : top * ((k.period - t) * RAY / k.period) / RAY;
        if (k.curve == 1) return top * rpow(k.cut, t / k.period) / RAY;
        return top * rpow(k.cut, t) / RAY;
    }

    struct Start {
        uint256 at;
        uint256 top;
    }

    mapping(uint256 => Start) internal starts; // when each lot began to fall, and from where, noted by us

    function note(uint256 id) internal {
        Lot memory lot = lotOf(id);
        starts[id] = Start(time, lot.top);
        check(11, lot.startedAt == time, "an auction did not begin now");
        topped(lot.collateralType, lot);
    }

    function someLot(uint256 seed) internal view returns (uint256) {
        uint256 last = auction.last_id();
        if (last == 0) return type(uint256).max;
        uint256 span = last < 12 ? last : 12;
        for (uint256 k; k <= span; k++) {
            uint256 id = last - (mix(seed, 9) + k) % (span + 1);
            Lot memory lot = lotOf(id);
            if (lot.top > 0 && (lot.lot > 0 || lot.principal > 0)) return id;
        }
        return type(uint256).max;
    }

    function take(uint256 seed) external acts(10) {
        uint256 id = someLot(seed);
        if (id == type(uint256).max) return skip("no auction");
        Lot memory lot = lotOf(id);
        (bool due,,,) = auction.status(id);
        if (due && mix(seed, 6) % 8 != 0) resetOne(id);
        if (mix(seed, 2) % 3 != 0) tick(between(mix(seed, 3), 0, 5000));
        uint256 amount = mix(seed, 4) % 3 == 0 ? lot.lot * between(mix(seed, 5), 1, 99) / 100 : lot.lot;
        takeOne(id, amount);
    }

    struct Taking {
        uint256 price;
        uint256 unit;
        uint256 coins;
        uint256 tokens;
        uint256 paid;
        uint256 slice;
        bool late;
        uint256 named;
        IERC20 token;
    }

    function takeOne(uint256 id, uint256 amount) public {
        Lot memory lot = lotOf(id);
        uint256 c = lot.collateralType;
        Taking memory x;
        {
            Curve memory k = auction.terms_of(c);
            uint256 t = time - starts[id].at;
            x.price = curvePrice(c, starts[id].top, t);
            x.late = t > k.tail || x.price * 1e4 / starts[id].top < k.cusp;
        }
        x.unit = engine.unit_of(c);
        x.token = IERC20(engine.terms_of(c).token);
        x.coins = coin.balanceOf(whale);
        x.tokens = x.token.balanceOf(whale);
        x.named = x.price;
        (bool ok, bytes memory ret) =
            call_(whale, address(auction), abi.encodeCall(IAuction.take, (id, amount, x.named, whale, "")));
        if (!ok && x.unit > 1 && keccak256(bytes(reason(ret))) == keccak256("dutch_auction: price too high")) {
            // tokens.html: a take that ends a target pays it whole and gets whole units
            x.named = x.price + x.price / 50;
            (ok, ret) = call_(whale, address(auction), abi.encodeCall(IAuction.take, (id, amount, x.named, whale, "")));
        }
        done(ok, ret);
        x.paid = x.coins - coin.balanceOf(whale);
        x.slice = (x.token.balanceOf(whale) - x.tokens) * x.unit;
        if (ok) {
            expectedSupply -= x.paid;
            check(11, !x.late, "taken although a reset is needed");
            check(11, x.paid * RAY >= x.slice * x.price, "collateral sold under the curve's price");
            check(11, x.paid > 0 && x.slice > 0, "a payment without collateral, or collateral without payment");
            check(11, x.paid * RAY <= lot.target, "a taker paid more than the target");
            // "paid - 1 wei >= (slice + 1 wei)*max_price -> revert"; at first max_price is the curve's price
            check(11, (x.paid - 1) * RAY < (x.slice + 1) * x.named, "more paid than the price that the taker named");
        } else if (amount == lot.lot && !x.late && x.coins * RAY >= lot.target && lot.lot >= x.unit && x.price > 0) {
            // the whole lot, at the price of the moment: only the rule of max_price may refuse it
            uint256 whole = ceil(lot.lot * x.price, RAY);
            check(
                11,
                whole * RAY > lot.target && x.unit > 1,
                string.concat("a take of the whole lot refused: ", reason(ret))
            );
        }
    }

    function resets(uint256 seed) external acts(11) {
        uint256 id = type(uint256).max;
        uint256 last = auction.last_id();
        for (uint256 k; k < 12 && k < last; k++) {
            Lot memory l = lotOf(last - k);
            if (l.top == 0) continue;
            uint256 t = time - l.startedAt;
            Curve memory q = auction.terms_of(l.collateralType);
            if (t > q.tail || curvePrice(l.collateralType, l.top, t) * 1e4 / l.top < q.cusp) id = last - k;
        }
        if (id == type(uint256).max) id = someLot(seed);
        if (id == type(uint256).max) return skip("no auction");
        resetOne(id);
    }

    uint256 public resetsPaid;

    function resetOne(uint256 id) internal {
        uint256 had = coin.balanceOf(keeper);
        (bool ok, bytes memory ret) = call_(keeper, address(auction), abi.encodeCall(IAuction.reset, (id, keeper)));
        if (action == 11) done(ok, ret);
        if (!ok) return;
        uint256 got = coin.balanceOf(keeper) - had;
        Lot memory lot = lotOf(id);
        Curve memory y = auction.terms_of(lot.collateralType);
        check(11, got <= y.tip * WAD + y.chip * (lot.target / RAY) / 1e4, "the reward of a reset is too high");
        if (lot.principal > 0) check(11, got == 0, "a reset was rewarded before any penalty came in");
        if (got > 0) resetsPaid++;
        expectedSupply += got;
        note(id);
    }

    function close(uint256 seed) external acts(12) {
        for (uint256 k; k < 6; k++) {
            uint256 last = auction.last_id();
            if (last == 0) return skip("no auction");
            uint256 id = last - (mix(seed, 2) + k) % (last < 12 ? last + 1 : 12);
            Lot memory lot = lotOf(id);
            if (lot.top == 0) continue;
            if (closeOne(id)) return;
        }
    }

    function closeOne(uint256 id) internal returns (bool) {
        Lot memory lot = lotOf(id);
        uint256 was = engine.deficit_of(lot.collateralType);
        (bool ok, bytes memory ret) = call_(keeper, address(auction), abi.encodeCall(IAuction.close, (id)));
        done(ok, ret);
        if (!ok) return false;
        check(11, engine.deficit_of(lot.collateralType) == was + lot.principal, "a close booked another deficit than the principal");
        if (lot.lot > 0) {
            Curve memory k = auction.terms_of(lot.collateralType);
            check(11, time - lot.startedAt > k.tail, "a lot closed before its tail was over");
            check(
                11,
                lot.lot * feed.prices_of(lot.collateralType).current < k.minimum * RAD / 100,
                "a lot closed that is worth a hundredth of the minimum"
            );
        }
        return true;
    }

    function sellSalvage(uint256 seed) external acts(13) {
        uint256 c = mix(seed, 2) % TYPES;
        for (uint256 k; k < TYPES && engine.salvage_of(c) == 0; k++) c = (c + 1) % TYPES;
        if (engine.salvage_of(c) == 0) return skip("no salvage");
        (bool ok, bytes memory ret) = call_(keeper, address(auction), abi.encodeCall(IAuction.sell_salvage, (c)));
        done(ok, ret);
        if (ok) note(abi.decode(ret, (uint256)));
    }

    // ------------------------------------------------------------------ losses: P05, P06, P07, P09

    function cover(uint256 seed) external acts(14) {
        uint256 c = mix(seed, 2) % TYPES;
        for (uint256 k; k < TYPES && engine.deficit_of(c) == 0; k++) c = (c + 1) % TYPES;
        if (engine.deficit_of(c) == 0) return skip("no deficit");
        coverOne(c);
    }

    function coverOne(uint256 c) public {
        beforeCover(c);
        uint256[8] memory paid;
        (bool ok, uint256[8] memory p) = coverAndRead(c);
        paid = p;
        if (!ok) return;
        uint256 gone;
        for (uint256 i; i < 3; i++) gone += b.balance[i] - coin.balanceOf(address(pools[i]));
        expectedSupply -= gone;
        afterCover(c, paid);
    }

    function coverAndRead(uint256 c) public returns (bool, uint256[8] memory paid) {
        vm.recordLogs();
        (bool ok, bytes memory ret) = call_(keeper, address(waterfall), abi.encodeCall(IWaterfall.cover, (c)));
        Log[] memory logs = vm.getRecordedLogs();
        done(ok, ret);
        check(6, ok, string.concat("cover refused while a deficit is open: ", reason(ret)));
        for (uint256 i; i < logs.length; i++) {
            if (logs[i].emitter != address(waterfall) || logs[i].topics.length < 4) continue;
            uint256 stage = uint256(logs[i].topics[3]);
            if (logs[i].topics[0] == COVERED) paid[stage] += abi.decode(logs[i].data, (uint256));
            if (logs[i].topics[0] == RESERVED) {
                uint256 amount = abi.decode(logs[i].data, (uint256));
                StageTerms memory s = waterfall.stage_terms(stage);
                // the cap's share of what the stage had; its payments of the window only lower the room
                check(5, amount <= (b.capacity[stage] + RAY) / 1e4 * s.capBps + RAY, "reserved over the cap");
                reservations++;
            }
        }
        return (ok, paid);
    }

    uint256 public reservations;

    // ------------------------------------------------------------------ pools: P07, P08, P09

    function deposit_(address who, uint256 i, uint256 amount) internal {
        vm.prank(who);
        pools[i].deposit(amount, who);
    }

    function poolDeposit(uint256 seed) external acts(15) {
        uint256 i = mix(seed, 2) % 3;
        address who = who_(seed);
        uint256 amount = mix(seed, 6) % 8 == 0 ? between(mix(seed, 3), 1, 1e6) : between(mix(seed, 3), 100, 12_000) * WAD;
        if (coin.balanceOf(who) < amount && coin.balanceOf(whale) > amount) {
            vm.prank(whale);
            coin.transfer(who, amount);
        }
        IPool pool = pools[i];
        uint256 had = memberValue(i, who);
        uint256[5] memory others;
        for (uint256 k; k < MEMBERS; k++) others[k] = memberValue(i, people[k]);
        uint256 grain = (pool.totalAssets() + 1) / (pool.totalSupply() + 1e6) + 1e3;
        (bool ok, bytes memory ret) = call_(who, address(pool), abi.encodeCall(IPool.deposit, (amount, who)));
        done(ok, ret);
        if (!ok) return;
        // a newcomer does not pay for an old loss: the deposit is worth its amount, and takes nothing of others
        uint256 has = memberValue(i, who);
        check(7, has <= had + amount + grain, "a deposit is worth more than its amount");
        check(7, has + grain + amount / 1e6 >= had + amount, "a deposit is worth less than its amount: it paid for an old loss");
        for (uint256 k; k < MEMBERS; k++) {
            if (people[k] == who) continue;
            uint256 v = memberValue(i, people[k]);
            check(7, v + others[k] / 1e6 + 1e3 >= others[k], "a deposit made another member poorer");
        }
    }

    mapping(uint256 => mapping(address => uint256)) internal asked;

    function poolRequest(uint256 seed) external acts(16) {
        uint256 i = mix(seed, 2) % 3;
        address who = who_(seed);
        for (uint256 k; k < 15; k++) {
            i = (mix(seed, 2) + k) % 3;
            who = people[(mix(seed, 1) + k / 3) % MEMBERS];
            if (pools[i].balanceOf(who) > 0) break;
        }
        uint256 shares = pools[i].balanceOf(who) * between(mix(seed, 3), 10, 100) / 100;
        if (shares == 0) return skip("no shares");
        request(i, who, shares);
    }

    function request(uint256 i, address who, uint256 shares) internal {
        if (asked[i][who] == 0) {
            // pools.html: "A withdrawal without a request reverts"
            (bool out,) = call_(who, address(pools[i]), abi.encodeCall(IPool.redeem, (shares, who, who)));
            check(8, !out, "a member left without a request");
        }
        asked[i][who] += shares;
        (bool ok, bytes memory ret) = call_(who, address(pools[i]), abi.encodeCall(IPool.requestRedeem, (shares, who, who)));
        done(ok, ret);
        if (!ok) return;
        uint256 batch = abi.decode(ret, (uint256));
        requested[i][batch][who] += shares;
        requests[i][batch] += shares;
    }

    function poolCutSettle(uint256 seed) external acts(17) {
        noted = true; // only settling counts
        if (mix(seed, 4) % 2 == 0) {
            tick(86_400);
            post();
        }
        cutAll();
        if (mix(seed, 5) % 2 == 0) {
            tick(87_000);
            post();
            if (mix(seed, 6) % 2 == 0) tick(601);
        }
        if (mix(seed, 7) % 3 == 0) {
            for (uint256 c; c < TYPES; c++) if (engine.deficit_of(c) > 0) coverOne(c);
        }
        if (mix(seed, 8) % 3 == 0) {
            // a fall that leaves debt in doubt
            (uint256 c,) = indebted(seed);
            price[c] = price[c] * between(mix(seed, 9), 40, 65) / 100;
            bound(c);
            post();
            flagAll(c);
            tick(600);
        }
        noted = false;
        for (uint256 i; i < 3; i++) settleOne((mix(seed, 2) + i) % 3);
    }

    function cutAll() internal {
        for (uint256 i; i < 3; i++) {
            uint256 had = coin.balanceOf(address(pools[i]));
            (bool ok, bytes memory ret) = call_(keeper, address(pools[i]), abi.encodeCall(IPool.cut, ()));
            if (ok) {
                cuts++;
                done(ok, ret);
            }
            uint256 given = had - coin.balanceOf(address(pools[i])); // the leavers' unvested income, to the reserve
            expectedSupply -= given;
        }
    }

    function flagAll(uint256 c) public {
        for (uint256 k; k < MEMBERS; k++) {
            if (engine.vault(c, people[k]).normalized == 0) continue;
            (bool ok, bytes memory ret) =
                call_(keeper, address(liquidation), abi.encodeCall(ILiquidation.flag, (c, people[k])));
            if (action == 8) done(ok, ret);
        }
    }

    function isReporter(address who) external view returns (bool) {
        for (uint256 i; i < 4; i++) {
            for (uint256 k; k < reporters[i].length; k++) if (reporters[i][k] == who) return true;
        }
        return false;
    }

    /// for tests
    function waits(uint256 seconds_) external {
        tick(seconds_);
        post();
        post();
    }

    function cut(uint256 i) external {
        vm.prank(keeper);
        pools[i].cut();
    }

    function setPrice(uint256 i, uint256 p) external {
        price[i] = p;
        post();
        post();
    }

    uint256 public cuts;
    uint256 public settles;
    uint256 public settlesInDoubt;
    mapping(uint256 => uint256) internal heldThen;

    /// The least that would reach a pool: all doubt, less all that earlier at-once stages have. Own arithmetic.
    function reaching(uint256 i) public view returns (uint256) {
        uint256 all;
        uint256 before = engine.reserve();
        for (uint256 c; c < TYPES; c++) {
            all += doubt(c);
            before += engine.buffer_of(c);
        }
        for (uint256 k; k < 3; k++) before += (pools[k].unvested() + 1) * RAY;
        for (uint256 k; k < i; k++) before += coin.balanceOf(address(pools[k])) * RAY;
        return all > before ? ceil(all - before, RAY) : 0;
    }

    function settleOne(uint256 i) public {
        IPool pool = pools[i];
        uint256 ul = reaching(i);
        uint256 most = pool.totalAssets();
        uint256 units = pool.totalSupply() + 1e6;
        uint256 last = lastBatch(pool);
        uint256 first = firstBatch(last);
        for (uint256 n = first; n <= last; n++) {
            (uint256 u,,, uint256 held, bool over) = pool.batch_of(n);
            heldThen[n] = held;
            if (held > 0) most += held;
            if (!over && held > 0) units += u;
        }
        (bool ok, bytes memory ret) = call_(keeper, address(pool), abi.encodeCall(IPool.settle, ()));
        done(ok, ret);
        if (!ok) return;
        settles++;
        check(8, time >= fallAt + SAME_TIME || fallAt == 0, "a batch was paid within ten minutes of a fall");
        if (ul > most) ul = most;
        if (ul > 1e9) settlesInDoubt++;
        for (uint256 n = first; n <= last; n++) {
            uint256 was = heldThen[n];
            if (was == 0) continue;
            (uint256 u, uint256 since,, uint256 held,) = pool.batch_of(n);
            if (held < was) check(8, time >= since + pool.COOLDOWN() + SAME_TIME, "a batch was paid before its time");
            if (ul <= 1e9) continue;
            // its share of a loss that is shared by all units: it has to stay, or all of the batch has to
            uint256 part = min(ul * u / units, was);
            check(8, held + held / 1e6 + 1e6 >= part, "a withdrawal under doubt did not leave its part");
        }
    }

    function poolClaim(uint256 seed) external acts(18) {
        for (uint256 k; k < 15; k++) {
            uint256 i = (mix(seed, 2) + k) % 3;
            address who = people[(mix(seed, 1) + k / 3) % MEMBERS];
            uint256 shares = pools[i].maxRedeem(who);
            if (shares == 0) continue;
            uint256 may = pools[i].maxWithdraw(who);
            uint256 had = coin.balanceOf(who);
            (bool ok, bytes memory ret) = call_(who, address(pools[i]), abi.encodeCall(IPool.redeem, (shares, who, who)));
            done(ok, ret);
            check(8, ok, "a payment that was made cannot be claimed");
            check(8, coin.balanceOf(who) - had <= may, "claimed more than was paid");
            return;
        }
        skip("nothing to claim");
    }

    function collectClaims(uint256 seed) external acts(19) {
        uint256 i;
        address who;
        for (uint256 k; k < 15; k++) {
            i = (mix(seed, 2) + k) % 3;
            who = people[(mix(seed, 1) + k / 3) % MEMBERS];
            if (claims[i].tokens() > 0 && lostBy[i][who] > WAD) break;
        }
        if (claims[i].tokens() == 0) return skip("no claims");
        (bool ok, bytes memory ret) = call_(keeper, address(pools[i]), abi.encodeCall(IPool.collect_claims, (who)));
        if (!ok) return done(ok, ret);
        if (claims[i].balanceOf(who) > 0) done(ok, ret);
        if (mix(seed, 4) % 2 == 0 && claims[i].outstanding() > 0) {
            uint256 amount = claims[i].outstanding() * between(mix(seed, 5), 1, 110) / 300;
            uint256 owed = claims[i].outstanding();
            uint256 had = coin.balanceOf(whale);
            (ok, ret) = call_(whale, address(claims[i]), abi.encodeCall(IClaims.repay, (amount)));
            uint256 spent = had - coin.balanceOf(whale);
            repaid[i] += spent;
            check(9, owed - claims[i].outstanding() == spent, "a repayment took another amount off the claims");
        }
        for (uint256 g; g <= claims[i].generation(); g++) {
            uint256 had = coin.balanceOf(who);
            (ok, ret) = call_(keeper, address(claims[i]), abi.encodeCall(IClaims.collect, (who, g)));
            if (ok) collected[i][who] += coin.balanceOf(who) - had;
        }
    }

    // ------------------------------------------------------------------ treasury and the rest: P10

    function distribute(uint256 seed) external acts(20) {
        if (mix(seed, 2) % 2 == 0) {
            tick(between(mix(seed, 3), 3600, mix(seed, 4) % 3 == 0 ? 60 days : 5 days));
            post();
            post();
        }
        noted = true; // only the distribution counts
        for (uint256 c; c < TYPES; c++) {
            engine.accrue(c);
            if (mix(seed, 5) % 2 == 0 && engine.deficit_of(c) > 0) coverOne(c);
        }
        noted = false;
        distributeNow();
    }

    uint256 public refusals;
    uint256 public forSaleInDeficit;

    function distributeNow() public {
        uint256 deficits = allDeficits();
        uint256 had = engine.reserve();
        uint256 doubts;
        for (uint256 c; c < TYPES; c++) doubts += doubt(c);
        uint256[3] memory owed;
        uint256[3] memory held;
        for (uint256 i; i < 3; i++) {
            owed[i] = claims[i].outstanding();
            held[i] = coin.balanceOf(address(pools[i]));
        }
        (bool ok, bytes memory ret) = call_(keeper, address(treasury), abi.encodeCall(ITreasury.distribute, ()));
        done(ok, ret);
        bool fell = fallAt > 0 && time < fallAt + SAME_TIME;
        if (deficits > 0 || fell) refusals++;
        check(10, deficits == 0 || engine.reserve() == had, "the treasury spent while a deficit is open");
        if (deficits > 0 && treasury.for_sale() > 0) forSaleInDeficit++; // a finding, README.md
        check(10, !fell || engine.reserve() == had, "the treasury spent within ten minutes of a fall");
        if (!ok) {
            check(10, deficits > 0 || fell || had < 1e45, string.concat("a distribution refused without a reason: ", reason(ret)));
            return;
        }
        uint256 spent = abi.decode(ret, (uint256));
        expectedSupply += spent;
        uint256 has = engine.reserve();
        check(10, had - has == spent * RAY, "the reserve fell by another amount than was spent");
        if (spent > 0) check(10, has + RAY >= doubts, "less than the doubt stayed in the reserve");
        uint256 toClaims;
        for (uint256 i; i < 3; i++) {
            toClaims += owed[i] - claims[i].outstanding();
            repaid[i] += owed[i] - claims[i].outstanding();
        }
        uint256 toPools;
        for (uint256 i; i < 3; i++) toPools += coin.balanceOf(address(pools[i])) - held[i];
        check(10, toClaims + toPools == spent, "spent for something else than claims and pools");
        // claims before the target and the pools, the most senior series first
        if (toPools > 0) {
            for (uint256 i; i < 3; i++) check(10, claims[i].outstanding() < WAD, "pools were paid before claims");
            check(10, has + RAY >= doubts + treasury.target() * RAD, "pools were paid although the reserve is under its target");
        }
        if (claims[0].outstanding() < owed[0]) {
            check(10, claims[1].outstanding() < WAD && claims[2].outstanding() < WAD, "Junior's claims were paid before senior ones");
        }
        if (claims[1].outstanding() < owed[1]) check(10, claims[2].outstanding() < WAD, "Senior's claims were paid before Savings'");
        toClaimsEver += toClaims;
        toPoolsEver += toPools;
    }

    uint256 public toClaimsEver;
    uint256 public toPoolsEver;

    function incomeOrGift(uint256 seed) external acts(21) {
        uint256 i = mix(seed, 2) % 3;
        uint256 amount = between(mix(seed, 3), 1, 200) * WAD;
        if (mix(seed, 4) % 2 == 0) {
            // units-and-rounding.html, "Donations"
            uint256 was = pools[i].totalAssets();
            vm.prank(whale);
            coin.transfer(address(pools[i]), amount);
            check(7, pools[i].totalAssets() == was, "a gift changed the assets of a pool");
            gifts[i] += amount;
            done(true, "");
        } else {
            (bool ok, bytes memory ret) = call_(whale, address(pools[i]), abi.encodeCall(IPool.add_income, (amount)));
            done(ok, ret);
        }
    }

    uint256[3] public gifts;

    function stake(uint256 seed) external acts(22) {
        address who = who_(seed);
        uint256 amount = between(mix(seed, 3), 100, 3000) * WAD;
        (bool ok, bytes memory ret) = call_(who, address(staked), abi.encodeCall(IPool.deposit, (amount, who)));
        done(ok, ret);
    }

    function equityAuction(uint256 seed) external acts(23) {
        bool late = mix(seed, 6) % 3 == 0;
        if (late && waterfall.reserved_of(0) + waterfall.reserved_of(1) + waterfall.reserved_of(2) > 0) {
            tick(172_801);
            post();
        }
        for (uint256 k; k < 6; k++) {
            bool first = (mix(seed, 2) + k) % 2 == 0;
            uint256 c = (mix(seed, 3) + k / 2) % 3;
            if (waterfall.reserved(c, first ? 4 : 6) == 0) continue;
            IEquityAuction a = first ? stakeAuction : mintAuction;
            if (late) {
                (bool ok, bytes memory ret) = call_(keeper, address(a), abi.encodeCall(IEquityAuction.end, (c)));
                return done(ok, ret);
            }
            if (buyEquity(a, c, between(mix(seed, 4), 50, 20_000) * WAD, waterfall.reserved(c, first ? 4 : 6))) return;
        }
        skip("nothing reserved");
    }

    function buyEquity(IEquityAuction a, uint256 c, uint256 amount, uint256 reserved) internal returns (bool) {
        uint256 had = coin.balanceOf(whale);
        uint256 was = engine.deficit_of(c);
        (bool ok, bytes memory ret) =
            call_(whale, address(a), abi.encodeCall(IEquityAuction.take, (c, amount, 100 * RAY, whale, "")));
        done(ok, ret);
        if (!ok) return false;
        uint256 spent = had - coin.balanceOf(whale);
        expectedSupply -= spent;
        check(6, was - engine.deficit_of(c) <= min(spent * RAY, reserved), "a take of equity covered more than was paid, or reserved");
        return true;
    }

    function surplusAuction(uint256 seed) external acts(24) {
        noted = true; // only the sale counts
        if (mix(seed, 4) % 2 == 0) {
            tick(30 days);
            post();
            post();
            for (uint256 c; c < TYPES; c++) engine.accrue(c);
            distributeNow();
        }
        noted = false;
        (bool ok, bytes memory ret) = call_(keeper, address(surplus), abi.encodeCall(ISurplus.start, ()));
        if (!ok) done(ok, ret);
        uint256 had = coin.balanceOf(whale);
        vm.prank(admin);
        equity.transfer(whale, 100 * WAD);
        uint256 deficits = allDeficits();
        (ok, ret) = call_(
            whale,
            address(surplus),
            abi.encodeCall(ISurplus.take, (between(mix(seed, 2), 1, 100) * WAD, 100 * RAY, whale, ""))
        );
        done(ok, ret);
        if (!ok) return;
        expectedSupply += coin.balanceOf(whale) - had;
        check(10, deficits == 0, "surplus was sold while a deficit is open");
        check(10, fallAt == 0 || time >= fallAt + SAME_TIME, "surplus was sold within ten minutes of a fall");
    }

    /// A loan near the ratio, a fall by half, a liquidation whose lot does not pay the debt.
    function disaster(uint256 seed) external acts(26) {
        uint256 c = mix(seed, 2) % TYPES;
        address who = who_(seed);
        uint256 worst = riskPrice(c);
        if (worst == 0) return skip("no price");
        uint256 amount = between(mix(seed, 3), 4000, 40_000) * WAD;
        uint256 collateral = worthOf(c, amount / WAD * between(mix(seed, 4), 155, 175) / 100);
        if (collateral > 1e28) return skip("worthless");
        noted = true; // only the liquidation counts
        draw(who, c, collateral, amount);
        bool worthless = mix(seed, 10) % 6 == 0;
        price[c] = worthless ? base[c] / 100_000 : price[c] * between(mix(seed, 5), 30, 60) / 100;
        bound(c);
        post();
        if (mix(seed, 6) % 3 != 0) call_(keeper, address(liquidation), abi.encodeCall(ILiquidation.flag, (c, who)));
        if (mix(seed, 7) % 4 == 0) return;
        post();
        noted = false;
        liquidateOne(c, who);
        noted = true;
        uint256 id = auction.last_id();
        if (worthless) {
            for (uint256 k; k < 4; k++) post();
            if (lotOf(id).lot > 0) closeOne(id);
            return;
        }
        if (mix(seed, 8) % 4 == 0 || lotOf(id).lot == 0) return;
        tick(between(mix(seed, 9), 600, 2400));
        takeOne(id, lotOf(id).lot);
        if (lotOf(id).lot == 0 && lotOf(id).principal > 0) closeOne(id);
    }

    /// A member asks to leave; a small vault becomes unsafe and is flagged before the batch is settled.
    function leave(uint256 seed) external acts(27) {
        uint256 i = mix(seed, 2) % 3;
        address who = who_(seed);
        uint256 shares = pools[i].balanceOf(who);
        if (shares == 0) {
            if (coin.balanceOf(who) < 5000 * WAD) return skip("no coins");
            deposit_(who, i, 5000 * WAD);
            shares = pools[i].balanceOf(who);
        }
        noted = true; // only the settlement of the batches counts
        request(i, who, shares * between(mix(seed, 3), 20, 100) / 100);
        tick(86_400);
        post();
        cutAll();
        for (uint256 c; c < TYPES; c++) if (engine.deficit_of(c) > 0) coverOne(c);
        tick(87_000);
        post();
        uint256 t = mix(seed, 4) % TYPES;
        uint256 coins = between(mix(seed, 5), 2100, 5000);
        if (riskPrice(t) * 100 > base[t]) {
            draw(people[mix(seed, 6) % MEMBERS], t, worthOf(t, coins * 16 / 10), coins * WAD);
            price[t] = price[t] * between(mix(seed, 7), 60, 85) / 100;
            post();
            flagAll(t);
            if (mix(seed, 9) % 2 == 0) {
                post();
                for (uint256 k; k < MEMBERS; k++) liquidateOne(t, people[k]);
            }
        }
        tick(mix(seed, 8) % 4 == 0 ? 599 : 600);
        noted = false;
        settleOne(i);
    }

    /// Prices come back, lots are sold, losses covered.
    function recover(uint256 seed) external acts(28) {
        noted = true;
        for (uint256 i; i < 4; i++) price[i] = base[i];
        post();
        post();
        uint256 last = auction.last_id();
        for (uint256 k; k < 14 && k < last; k++) {
            Lot memory lot = lotOf(last - k);
            if (lot.top == 0) continue;
            (bool due,,,) = auction.status(last - k);
            if (due) resetOne(last - k);
            if (lot.lot > 0) takeOne(last - k, lot.lot);
            lot = lotOf(last - k);
            if (lot.top > 0 && lot.lot == 0 && lot.principal > 0) closeOne(last - k);
        }
        for (uint256 c; c < TYPES; c++) {
            flagAll(c);
            if (engine.deficit_of(c) > 0) coverOne(c);
        }
        noted = false;
        done(true, "");
        seed;
    }

    // ------------------------------------------------------------------ P12, roles.html

    /// A stranger tries one of the functions that are restricted.
    function stranger(uint256 seed) external acts(25) {
        tryRestricted(people[mix(seed, 1) % MEMBERS], mix(seed, 2), mix(seed, 3) % TYPES, mix(seed, 4) % 1e30);
        done(true, "");
    }

    struct Restricted {
        address to;
        bytes data;
        uint256 kind; // 0: of the admin, 1: of a role, 2: of a list, an owner or another contract
    }

    function restricted(uint256 pick, uint256 c, uint256 x, address who) public view returns (Restricted memory r) {
        address e = address(engine);
        address a = address(auction);
        address w = address(waterfall);
        address f = address(feed);
        uint256 n = pick % 46;
        bytes memory d;
        uint256 k;
        if (n == 0) (r.to, d) = (e, abi.encodeWithSignature("set_ratios(uint256,uint256,uint256)", c, 11_000, 12_000));
        if (n == 1) (r.to, d) = (e, abi.encodeWithSignature("set_debt_floor(uint256,uint256)", c, 1000));
        if (n == 2) (r.to, d) = (e, abi.encodeWithSignature("set_debt_ceiling(uint256,uint256)", c, 1));
        if (n == 3) (r.to, d) = (e, abi.encodeWithSignature("set_global_debt_ceiling(uint256)", 1));
        if (n == 4) (r.to, d) = (e, abi.encodeWithSignature("set_stability_fee(uint256,uint256)", c, 0));
        if (n == 5) (r.to, d) = (e, abi.encodeWithSignature("set_buffer_share(uint256,uint256)", c, 0));
        if (n == 6) (r.to, d) = (e, abi.encodeWithSignature("set_auction_limit(uint256,uint256)", c, 0));
        if (n == 7) (r.to, d) = (e, abi.encodeWithSignature("set_global_auction_limit(uint256)", 0));
        if (n == 8) (r.to, d) = (e, abi.encodeWithSignature("set_redistribution_cap(uint256,uint256)", c, 10_000));
        if (n == 9) (r.to, d) = (e, abi.encodeWithSignature("grant_role(bytes32,address)", keccak256("STAGE"), who));
        if (n == 10) (r.to, d) = (a, abi.encodeWithSignature("set_buf(uint256,uint256)", c, 10_000));
        if (n == 11) (r.to, d) = (a, abi.encodeWithSignature("set_penalty(uint256,uint256)", c, 10_000));
        if (n == 12) (r.to, d) = (a, abi.encodeWithSignature("set_rewards(uint256,uint256,uint256)", c, 10_000, 0));
        if (n == 13) (r.to, d) = (a, abi.encodeWithSignature("set_stop(uint256,uint256)", c, 2));
        if (n == 14) (r.to, d) = (f, abi.encodeWithSignature("set_guards(uint256,uint256,uint256,uint256,uint256)", c, 0, 1, 0, 0));
        if (n == 15) (r.to, d) = (w, abi.encodeWithSignature("transfer_admin(address)", who));
        if (n == 16) (r.to, d) = (settlement, abi.encodeWithSignature("announce()"));
        if (n == 17) (r.to, d) = (address(treasury), abi.encodeWithSignature("set_target(uint256)", 0));
        if (n == 18) (r.to, d) = (address(equity), abi.encodeWithSignature("set_mint_cap(uint256)", 1e9));
        if (n == 19) (r.to, d) = (e, abi.encodeWithSignature("revoke_role(bytes32,address)", keccak256("STAGE"), address(pools[0])));
        if (n == 20) (r.to, d) = (f, abi.encodeWithSignature("set_issuer(uint256,address)", 9, who));
        // the guardian's and the admin's
        if (n == 21) (r.to, d, k) = (f, abi.encodeWithSignature("set_halted(uint256,bool)", c, true), 1);
        // roles
        if (n == 22) (r.to, d, k) = (e, abi.encodeWithSignature("cover_from_buffer(uint256,uint256)", c, x), 1);
        if (n == 23) (r.to, d, k) = (e, abi.encodeWithSignature("cover_from_reserve(uint256,uint256)", c, x), 1);
        if (n == 24) (r.to, d, k) = (e, abi.encodeWithSignature("give_to_reserve(uint256)", 1), 1);
        if (n == 25) (r.to, d, k) = (e, abi.encodeWithSignature("cover_from_tokens(uint256,address,uint256)", c, who, x), 1);
        if (n == 26) (r.to, d, k) = (e, abi.encodeWithSignature("cover_by_redistribution(uint256,uint256)", c, x), 1);
        if (n == 27) (r.to, d, k) = (f, abi.encodeWithSignature("begin_final_price(uint256)", c), 1);
        if (n == 28) (r.to, d, k) = (f, abi.encodeWithSignature("plan_final_price(uint256,uint256)", c, time + 1 days), 1);
        if (n == 29) (r.to, d, k) = (address(equity), abi.encodeWithSignature("mint(address,uint256)", who, 1), 1);
        // reporters, owners, other contracts of the protocol
        if (n == 30) (r.to, d, k) = (f, abi.encodeWithSignature("report(uint256,uint256)", c, RAY), 2);
        if (n == 31) (r.to, d, k) = (f, abi.encodeWithSignature("set_price(uint256,uint256)", c, RAY), 2);
        if (n == 32) (r.to, d, k) = (e, abi.encodeWithSignature("deposit_and_draw(uint256,address,uint256,uint256,address)", 0, whale, 0, 1, who), 2);
        if (n == 33) (r.to, d, k) = (e, abi.encodeWithSignature("repay_and_withdraw(uint256,address,uint256,uint256,address)", 0, whale, 0, 1e18, who), 2);
        if (n == 34) (r.to, d, k) = (address(coin), abi.encodeWithSignature("mint(address,uint256)", who, 1), 2);
        if (n == 35) (r.to, d, k) = (address(coin), abi.encodeWithSignature("burn(address,uint256)", whale, 1), 2);
        if (n == 36) (r.to, d, k) = (e, abi.encodeWithSignature("spend_reserve(uint256,address)", 1, who), 2);
        if (n == 37) (r.to, d, k) = (e, abi.encodeWithSignature("release(uint256,uint256,address)", c, 1e18, who), 2);
        if (n == 38) (r.to, d, k) = (e, abi.encodeWithSignature("seize(uint256,address,uint256,uint256,address,uint256)", 0, whale, 1e18, 1e18, who, 0), 2);
        if (n == 39) (r.to, d, k) = (e, abi.encodeWithSignature("write_off(uint256,address,uint256,uint256)", c, whale, 0, 0), 2);
        if (n == 40) (r.to, d, k) = (a, abi.encodeWithSignature("start(uint256,address,uint256,uint256,uint256)", c, who, 1e18, RAD, RAY), 2);
        if (n == 41) (r.to, d, k) = (w, abi.encodeWithSignature("recognise(uint256,uint256)", c, RAD), 2);
        if (n == 42) (r.to, d, k) = (address(pools[c]), abi.encodeWithSignature("absorb(uint256,uint256)", c, RAD), 2);
        if (n == 43) (r.to, d, k) = (address(claims[c]), abi.encodeWithSignature("record(uint256,uint256,uint256)", 0, 1, 1e18), 2);
        if (n == 44) (r.to, d, k) = (address(treasury), abi.encodeWithSignature("sell(uint256,address)", 1, who), 2);
        if (n == 45) (r.to, d, k) = (address(staked), abi.encodeWithSignature("slash(uint256,address)", 1, who), 2);
        r.data = d;
        r.kind = k;
    }

    function tryRestricted(address who, uint256 pick, uint256 c, uint256 x) public {
        Restricted memory r = restricted(pick, c, x, who);
        (bool ok, bytes memory ret) = call_(who, r.to, r.data);
        check(12, !ok, string.concat("a stranger may call restricted function ", vm.toString(pick % 46)));
        if (ok || r.kind == 2) return;
        bytes32 why = keccak256(bytes(reason(ret)));
        bool named = why == keccak256("roles: not admin") || why == keccak256("roles: missing role");
        check(12, named, string.concat("refused for another reason: ", reason(ret)));
    }

    // ------------------------------------------------------------------ report

    function counted(string memory path) external {
        for (uint256 i; i < ACTIONS; i++) {
            vm.writeLine(path, string.concat("action ", names[i], " ", vm.toString(calls[i]), " ", vm.toString(successes[i])));
        }
        for (uint256 p = 1; p <= 12; p++) {
            vm.writeLine(path, string.concat("property P", p < 10 ? "0" : "", vm.toString(p), " ", vm.toString(checked[p]), " ", vm.toString(failedCount[p])));
        }
        line(path, "lots_started", auction.last_id());
        line(path, "loss_junior_coins", lost[0] / WAD);
        line(path, "loss_senior_coins", lost[1] / WAD);
        line(path, "loss_savings_coins", lost[2] / WAD);
        line(path, "reservations_of_equity", reservations);
        line(path, "resets_with_a_reward", resetsPaid);
        line(path, "caps_that_bound", capsBound);
        line(path, "losses_of_batches_compared", batchesCompared);
        line(path, "batches_cut", cuts);
        line(path, "falls_that_paused_payments", pauses);
        line(path, "settles", settles);
        line(path, "settles_in_doubt", settlesInDoubt);
        line(path, "distributions_asked_in_deficit_or_fall", refusals);
        line(path, "finding_for_sale_while_a_deficit_is_open", forSaleInDeficit);
        line(path, "coins_to_claims", toClaimsEver / WAD);
        line(path, "coins_to_pools", toPoolsEver / WAD);
    }

    function line(string memory path, string memory name, uint256 n) internal {
        vm.writeLine(path, string.concat("fact ", name, " ", vm.toString(n), " ", n > 0 ? "1" : "0"));
    }
}
