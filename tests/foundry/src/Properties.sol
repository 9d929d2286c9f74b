// SPDX-License-Identifier: AGPL-3.0-only
pragma solidity ^0.8.20;

import "./World.sol";

/// The arithmetic of the documentation, and the checks that use it. Nothing here acts.
abstract contract Properties is World {
    uint256 public batchesCompared;
    uint256 public capsBound; // a later payer, or a remainder, because a stage with money had no room
    uint256 public expectedSupply; // P02, moved by each action as ledger.html says

    struct Payment {
        uint256 at;
        uint256 amount; // whole wei, rounded up
    }

    mapping(uint256 => Payment[]) internal paidBy; // stage -> payments (P05)

    uint256[3] public lost; // P09: what each pool has paid for losses, wei
    uint256[3] public repaid; // and what its claims were paid
    mapping(uint256 => mapping(address => uint256)) public lostBy; // pool -> member -> wei
    mapping(uint256 => mapping(address => uint256)) public collected;

    uint256[3] internal highest; // lowest known price's highest since the last fall (P08, P10)
    uint256 public fallAt;

    // pool -> batch -> member -> shares, and of all members
    mapping(uint256 => mapping(uint256 => mapping(address => uint256))) public requested;
    mapping(uint256 => mapping(uint256 => uint256)) public requests;

    // before a cover
    struct Before {
        uint256 deficit;
        uint256 reserved;
        uint256[3] unit; // assets of 1e30 live shares
        uint256[3] outstanding;
        uint256[3] balance;
        uint256[3] generation;
        uint256[3] supply;
        uint256[3] assets;
        uint256[3] lastBatch;
        uint256[8] capacity;
        uint256 coins;
    }

    Before internal b;
    mapping(uint256 => mapping(address => uint256)) internal valueBefore;
    mapping(uint256 => mapping(address => uint256)) internal sharesBefore;
    mapping(uint256 => mapping(uint256 => uint256)) internal heldBefore;

    // ------------------------------------------------------------------ state, after each action

    function books() internal {
        // P01 ledger.html, "Identity": exactly, in rad, after each call
        uint256 left = coin.totalSupply() * RAY + engine.reserve();
        uint256 right = engine.settled();
        for (uint256 c; c < TYPES; c++) {
            Debts memory d = engine.debts_of(c);
            left += engine.buffer_of(c);
            right += d.normalized * d.rate + engine.in_auction_of(c) + engine.deficit_of(c);
        }
        check(1, left == right, "liabilities are not claims and losses, in rad");
        // P02 ledger.html, "Postings"
        uint256 supply = coin.totalSupply();
        check(2, supply == expectedSupply, "supply moved by something that no posting explains");
        expectedSupply = supply;
        uint256 sum;
        for (uint256 i; i < holders.length; i++) sum += coin.balanceOf(holders[i]);
        check(2, supply == sum, "supply is not the sum of all balances");
        claimsBounded();
    }

    /// P09 recovery-claims.html, "Amounts": never more than the loss
    function claimsBounded() internal {
        for (uint256 i; i < 3; i++) {
            uint256 owed = claims[i].outstanding();
            if (lost[i] == 0 && owed == 0) continue;
            check(9, owed + repaid[i] <= lost[i], "claims owed and repaid exceed what the pool lost");
            check(9, claims[i].totalSupply() <= claims[i].tokens(), "more tokens out than the series has");
            uint256 n = claims[i].tokens();
            for (uint256 k; k < MEMBERS; k++) {
                address who = people[k];
                // cash_of(owner, generation) counts what waits for the owner already, cash(owner), in each generation
                uint256 waiting = claims[i].cash(who);
                uint256 has = collected[i][who] + waiting;
                for (uint256 g; g <= claims[i].generation(); g++) has += claims[i].cash_of(who, g) - waiting;
                if (n > 0) has += claims[i].balanceOf(who) * owed / n;
                if (has > lostBy[i][who] + 1e6) {
                    broken(9, string.concat("a member's claims exceed its losses: pool ", vm.toString(i), ", ", vm.toString(has), " > ", vm.toString(lostBy[i][who])));
                }
                checked[9]++;
            }
        }
    }

    // ------------------------------------------------------------------ prices

    /// prices.html, "Price drops": 5% or more under the highest of the lowest known price since the last fall
    function afterPrices() internal override {
        uint256 paused = fallAt;
        for (uint256 c; c < TYPES; c++) {
            Prices memory p = feed.prices_of(c);
            uint256 low = min(p.current, p.next);
            if (low * 100 <= highest[c] * 95) {
                fallAt = time;
                highest[c] = low;
            } else if (low > highest[c]) {
                highest[c] = low;
            }
        }
        if (fallAt == paused) return;
        pauses++;
        check(8, feed.withdrawals_paused_until() == time + SAME_TIME, "a fall did not hold payments up for ten minutes");
    }

    uint256 public pauses;

    function fresh(uint256 c) internal view returns (bool) {
        return time <= feed.prices_of(c).freshUntil;
    }

    /// a dead feed's last price counts for liquidations and auctions (three days here)
    function dead(uint256 c) internal view returns (bool) {
        return time > feed.prices_of(c).freshUntil + 259_200;
    }

    /// the "risk" price of prices.html for a market without guards
    function riskPrice(uint256 c) internal view returns (uint256) {
        Prices memory p = feed.prices_of(c);
        return fresh(c) ? min(p.current, p.next) : 0;
    }

    // ------------------------------------------------------------------ ledger figures

    function typeDebt(uint256 c) internal view returns (uint256) {
        Debts memory d = engine.debts_of(c);
        return d.normalized * d.rate + engine.in_auction_of(c) + engine.deficit_of(c);
    }

    function allDebt() internal view returns (uint256 sum) {
        for (uint256 c; c < TYPES; c++) sum += typeDebt(c);
    }

    function allDeficits() internal view returns (uint256 sum) {
        for (uint256 c; c < TYPES; c++) sum += engine.deficit_of(c);
    }

    /// debt-in-doubt.html: deficit + in auction + flagged (no workouts here), flags at most the performing debt
    function doubt(uint256 c) internal view returns (uint256) {
        Debts memory d = engine.debts_of(c);
        return engine.deficit_of(c) + engine.in_auction_of(c) + min(flaggedOf(c), d.normalized) * d.rate;
    }

    function flaggedOf(uint256 c) internal view returns (uint256 sum) {
        for (uint256 i; i < MEMBERS; i++) sum += liquidation.flag_of(c, people[i]);
        sum += liquidation.flag_of(c, whale);
    }

    // ------------------------------------------------------------------ P05, loss-waterfall.html "Caps"

    function paidWithin(uint256 stage, uint256 since) internal view returns (uint256 sum) {
        Payment[] storage list = paidBy[stage];
        for (uint256 i = list.length; i > 0; i--) {
            if (list[i - 1].at < since) break;
            sum += list[i - 1].amount;
        }
    }

    /// "used" of the two buckets, and the room that they leave, in wei
    function room(uint256 stage, uint256 capacity) internal view returns (uint256) {
        uint256 epoch = waterfall.EPOCH_LENGTH();
        StageTerms memory s = waterfall.stage_terms(stage);
        uint256 used = paidWithin(stage, (time / epoch - 1) * epoch);
        uint256 most = (capacity / RAY + used) * s.capBps / 1e4;
        if (s.capAbsolute / RAY < most) most = s.capAbsolute / RAY;
        return most > used ? most - used : 0;
    }

    function capped(uint256 stage, uint256 amount, uint256 capacity) internal {
        uint256 epoch = waterfall.EPOCH_LENGTH();
        StageTerms memory s = waterfall.stage_terms(stage);
        uint256 w = paidWithin(stage, time - epoch + 1); // any stretch as long as an epoch that ends now
        uint256 all = w + amount / RAY;
        if (amount < 1) return;
        if (s.capAbsolute < type(uint128).max * RAY) {
            check(5, all <= s.capAbsolute / RAY + 1, "over the absolute cap in a stretch of an epoch");
        }
        if (s.capBps < 1e4) {
            check(5, all <= (capacity / RAY + 1 + w) * s.capBps / 1e4 + 1, "over the cap's share in a stretch of an epoch");
        }
    }

    // ------------------------------------------------------------------ covers: P05, P06, P07, P09

    /// the batch that collects: the third figure of queue(), found by trying
    function lastBatch(IPool pool) internal view returns (uint256 n) {
        (,, n) = pool.queue();
    }

    /// older batches are paid by then: at most twelve wait
    function firstBatch(uint256 last) internal pure returns (uint256) {
        return last < 14 ? 1 : last - 13;
    }

    function memberValue(uint256 i, address who) public view returns (uint256 v) {
        IPool pool = pools[i];
        uint256 live = pool.balanceOf(who);
        uint256 collecting = lastBatch(pool);
        for (uint256 n = firstBatch(collecting); n <= collecting; n++) {
            (uint256 units,,, uint256 held, bool over) = pool.batch_of(n);
            if (over || units == 0) continue;
            if (n == collecting) live += pool.pendingRedeemRequest(n, who); // not cut yet: live shares
            else if (held > 0) v += held * requested[i][n][who] / requests[i][n];
        }
        v += pool.convertToAssets(live);
    }

    function beforeCover(uint256 c) public {
        b.deficit = engine.deficit_of(c);
        b.reserved = waterfall.reserved_of(c);
        b.coins = coin.totalSupply();
        for (uint256 s; s < 8; s++) {
            b.capacity[s] = s == 4 || s == 6 ? IStage(waterfall.stage_terms(s).stage).capacity(c) : ownMoney(s, c) * RAY;
        }
        for (uint256 i; i < 3; i++) {
            IPool pool = pools[i];
            b.unit[i] = pool.convertToAssets(1e30);
            b.outstanding[i] = claims[i].outstanding();
            b.balance[i] = coin.balanceOf(address(pool));
            b.generation[i] = pool.generation();
            b.supply[i] = pool.totalSupply();
            b.assets[i] = pool.totalAssets();
            b.lastBatch[i] = lastBatch(pool);
            for (uint256 k; k < MEMBERS; k++) {
                valueBefore[i][people[k]] = memberValue(i, people[k]);
                sharesBefore[i][people[k]] = pool.balanceOf(people[k]);
            }
            for (uint256 n = firstBatch(b.lastBatch[i]); n <= b.lastBatch[i]; n++) {
                (,,, heldBefore[i][n],) = pool.batch_of(n);
            }
        }
    }

    function afterCover(uint256 c, uint256[8] memory paid) public {
        uint256 sum;
        uint256 lastPayer;
        for (uint256 s; s < 8; s++) {
            sum += paid[s];
            if (paid[s] > 0) lastPayer = s;
        }
        uint256 left = engine.deficit_of(c);
        check(6, sum == b.deficit - left, "payments are not what the deficit fell by");
        uint256 waits = 8; // the first stage that holds a reservation of the type
        for (uint256 s = 8; s > 0; s--) if (waterfall.reserved(c, s - 1) > 0) waits = s - 1;
        for (uint256 s; s < 8; s++) {
            if (s == 4 || s == 6) continue;
            if (paid[s] > 0) {
                check(6, s < waits, "a stage paid behind one that holds a reservation");
                capped(s, paid[s], b.capacity[s]);
                paidBy[s].push(Payment(time, ceil(paid[s], RAY)));
            }
        }
        // "A stage pays when all before it are dry, capped or have failed, and only for the remainder"
        // a part that is reserved already waits for its auction, and no other stage covers it
        bool open = left > waterfall.reserved_of(c);
        bool more = waterfall.reserved_of(c) > b.reserved;
        for (uint256 s; s < 8; s++) {
            if (s == 4 || s == 6) continue;
            bool wanted = s < lastPayer || (open && s < waits) || (more && s < waits);
            if (!wanted) continue;
            uint256 own = ownMoney(s, c);
            if (own > 0 && s > 1 && room(s, own * RAY) == 0) capsBound++;
            check(
                6,
                min(own, room(s, own * RAY)) == 0,
                string.concat("a stage still has money and room before a later payer: ", vm.toString(s))
            );
        }
        for (uint256 i; i < 3; i++) afterLoss(i, ceil(paid[poolStage[i]], RAY), c);
        events(c);
    }

    /// loss-waterfall.html, "Events": for each event, exactly
    function events(uint256 c) internal {
        (uint256 created, uint256 carriedIn, uint256 recovered, uint256 covered, uint256 carriedOut, uint256 open) =
            waterfall.event_of(c, waterfall.last_epoch(c));
        check(6, created + carriedIn == recovered + covered + carriedOut + open, "an event does not add up");
        check(6, open == engine.deficit_of(c), "the outstanding part of an event is not the deficit");
        check(6, recovered == 0, "recovered without a facilitator");
    }

    /// What a stage could pay, from figures of its own, not from its answer to the waterfall; whole wei
    function ownMoney(uint256 s, uint256 c) internal view returns (uint256) {
        if (s == 0) return engine.buffer_of(c) / RAY;
        if (s == 1) return engine.reserve() / RAY;
        if (s == 2) return pools[0].unvested() + pools[1].unvested() + pools[2].unvested();
        return wholePool(s == 3 ? 0 : s == 5 ? 1 : 2);
    }

    /// all vested assets of a pool, batches included
    function wholePool(uint256 i) internal view returns (uint256 sum) {
        sum = pools[i].totalAssets();
        uint256 last = lastBatch(pools[i]);
        for (uint256 n = firstBatch(last); n <= last; n++) {
            (,,, uint256 held,) = pools[i].batch_of(n);
            sum += held;
        }
    }

    /// What all batches lost; each as much for a share as live shares, or all that it had.
    function batchesFell(uint256 i, uint256 fall_) internal returns (uint256 sum) {
        uint256 last = b.lastBatch[i];
        for (uint256 n = firstBatch(last); n <= last; n++) {
            uint256 was = heldBefore[i][n];
            if (was == 0) continue;
            (uint256 units,,, uint256 held, bool over) = pools[i].batch_of(n);
            uint256 fell = was - min(held, was);
            sum += fell;
            if (b.supply[i] < 1e21) continue; // next to no live shares: their price is a matter of single wei
            batchesCompared++;
            uint256 due = min(units * fall_ / 1e30, was);
            uint256 tolerance = units * (b.unit[i] / 1e12 + 1e12) / 1e30 + 1e6;
            check(
                7,
                over || (fell <= due + tolerance && due <= fell + tolerance),
                string.concat("a batch did not lose like live shares: ", vm.toString(fell), " of ", vm.toString(was), ", due ", vm.toString(due))
            );
        }
    }

    function afterLoss(uint256 i, uint256 x, uint256) internal {
        IPool pool = pools[i];
        uint256 owed = claims[i].outstanding();
        if (x == 0) {
            check(9, owed <= b.outstanding[i], "claims without a loss");
            return;
        }
        lost[i] += x;
        check(9, owed <= b.outstanding[i] + x, "claims of more than the loss");
        bool voided = pool.generation() != b.generation[i];
        uint256 fall_ = voided ? b.unit[i] : b.unit[i] - min(b.unit[i], pool.convertToAssets(1e30));
        for (uint256 k; k < MEMBERS; k++) {
            address who = people[k];
            uint256 v = memberValue(i, who);
            uint256 was = valueBefore[i][who];
            check(7, v <= was, "a loss made a member richer");
            lostBy[i][who] += was - min(v, was) + 10;
            if (voided) continue;
            uint256 live = sharesBefore[i][who];
            check(7, pool.balanceOf(who) == live, "a loss changed a count of shares");
            // "withdrawing and remaining members absorb the same share": wei per share, alike for all live shares
            uint256 mine = live * b.unit[i] / 1e30;
            uint256 now_ = pool.convertToAssets(pool.balanceOf(who));
            uint256 fell = mine > now_ ? mine - now_ : 0;
            uint256 due = live * fall_ / 1e30;
            check(7, fell <= due + 1e6 && due <= fell + 1e6, "live shares did not lose alike");
        }
        if (voided) return;
        uint256 inBatches = batchesFell(i, fall_);
        uint256 liveFell = b.assets[i] - min(b.assets[i], pool.totalAssets());
        check(7, liveFell + inBatches <= x + 1e3 && x <= liveFell + inBatches + 1e3, "what live shares and batches lost is not what the pool paid");
        // claims for all but the part of the virtual shares
        uint256 nearly = x - x / 1e6 - min(x - x / 1e6, 1e6);
        if (b.supply[i] > 1e18) check(9, owed + 1e6 >= b.outstanding[i] + nearly, "a loss without claims");
    }
}
