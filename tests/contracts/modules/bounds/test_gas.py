"""The gas that a contract may use in calls from one that must go on: with more it counts as broken.

Each bound is well above the need of the worst state, measured on a node, all slots cold.
"""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from backstop.hosts import host_registry as hosts
from backstop.hosts.anvil import AnvilHost
from backstop.model.arithmetic import RAD, RAY, WAD
from backstop.model.bounds import MAX_REPORTERS
from backstop.model.exit_batches import MOST_GROUPS
from backstop.model.redeem_queue import MOST_UNSETTLED
from backstop.proof.local_protocol import PRICES, LocalProtocol
from backstop.proof.lockstep import deploy_lockstep
from tests.support.checkout_paths import ROOT
from tests.support.guard_steps import BREAKER, CEILING, with_guards
from tests.support.perpetual_test_market import build_cycle_market_parameters
from tests.support.saver_steps import DAY, XAU, leave_in_crumbs, lose_new_vault
from tests.support.workout_steps import TERMS

FOUND = re.findall(r"^(\w+_GAS): .*= ([\d_]+)$", (ROOT / "contracts/modules/bounds.vy").read_text(), re.M)
BOUNDS = {name: int(value) for name, value in FOUND}
FEED_GAS = 200_000
"""The gas that Settlement gives a feed."""


class Asked(LocalProtocol):
    """A deployment on a node, which measures the gas of calls."""

    def gas(self, call: str, *args: object, sender: str = "stranger") -> int:
        """Return the gas of "Contract.method", without the cost of the transaction itself."""
        contract, method = call.split(".")
        chain, given = self.lockstep.chain, self._resolve_arguments(contract, method, args)
        data = chain.get_function(contract, method, len(args)).encode_call(given)
        said = {"from": self.address(sender), "to": self.address(contract), "data": "0x" + data.hex()}
        assert isinstance(chain.host, AnvilHost)
        needed = int(chain.host.client.request("eth_estimateGas", said), 16)
        return needed - 21_000 - sum(16 if byte else 4 for byte in data)


@pytest.fixture
def on_a_node(artifacts, traces):
    """Makes deployments in which as many report as may."""
    opened = []

    def make(parameters):
        def crowded(feed):
            return replace(feed, reporters=MAX_REPORTERS, quorum=MAX_REPORTERS)

        types = tuple(replace(each, feed=crowded(each.feed)) for each in parameters.collateral_types)
        host = hosts.new_host("anvil")
        opened.append(host)
        both = deploy_lockstep(
            host,
            replace(parameters, collateral_types=types),
            artifacts=artifacts,
            check_every=None,
            traces=traces,
        )
        made = Asked(both)
        for symbol, price in PRICES.items():
            made.post_price(symbol, price)
        return made

    yield make
    for host in opened:
        host.close()


@pytest.fixture
def guarded(on_a_node):
    base = with_guards((CEILING,), BREAKER, (TERMS,))
    junior = replace(base.junior, cooldown=(MOST_UNSETTLED + 8) * DAY)
    return on_a_node(replace(base, junior=junior))


def test_a_policy(guarded):
    most = 2**188
    asked = {"auction_limit_factor": (), "mode": (), "max_marginal_add_on": (0,), "call_terms": (0,)}
    asked |= {"add_on": (0, most), "fee_at": (0, most)}
    for question, args in asked.items():
        assert 4 * guarded.gas(f"RiskPolicy.{question}", *args) < BOUNDS["POLICY_GAS"]
    assert 4 * guarded.gas("RiskPolicy.reprice", 0, most, RAY, sender="VaultEngine") < BOUNDS["POLICY_GAS"]
    assert 4 * guarded.gas("Workouts.unflagged_principal_of", 0) < BOUNDS["POLICY_GAS"]


def test_a_mark_of_as_many_reporters_as_there_may_be(on_a_node):
    """Each lower than the one before, and its ends as well: the order that takes longest to sort."""
    made = on_a_node(build_cycle_market_parameters())
    for k in range(MAX_REPORTERS):
        price = PRICES["WETH"] * (100 - k) // 100
        args = price, price * 99 // 100 + 1, price * 101 // 100 + 1, 0
        made.do("PriceFeed.report_range", 0, *args, sender=f"reporter_{k + 1}")
    assert made.read("MarginPolicy.mark_price", 0, 60).high != 0
    assert 1.3 * made.gas("MarginPolicy.mark_price", 0, 60) < BOUNDS["POLICY_GAS"]
    assert 4 * made.gas("MarginPolicy.maintenance", 0, PRICES["WETH"]) < BOUNDS["POLICY_GAS"]


def test_a_feed(guarded):
    assert 2 * guarded.gas("PriceFeed.withdrawals_paused_until") < BOUNDS["LOOK_GAS"]
    assert 2 * guarded.gas("PriceFeed.begin_final_price", XAU, sender="Settlement") < FEED_GAS
    assert 2 * guarded.gas("PriceFeed.final_price", XAU) < FEED_GAS


def test_a_facilitator(on_a_node):
    """Its first loss, and one after years in which a fee has grown on its debt."""
    made = on_a_node(build_cycle_market_parameters())
    facilitator, market = "Perpetuals", made.address("PerpetualMarket")
    asked = "Perpetuals.mint_for_loss", 1_000 * WAD, market
    assert 2 * made.gas(*asked, sender="MarginFund") < BOUNDS["FACILITATOR_GAS"]
    line = made.lockstep.model.world.contracts[facilitator].collateral_type
    made.do("VaultEngine.set_stability_fee", line, 10**18, sender="admin")
    made.advance(3 * 365 * DAY)
    assert 2 * made.gas(*asked, sender="MarginFund") < BOUNDS["FACILITATOR_GAS"]


def test_stages(guarded):
    """A pool pays all it has with as many batches under way as there may be, each cut at another price."""
    leave_in_crumbs(guarded)
    lose_new_vault(guarded)
    deficit = guarded.read("VaultEngine.deficit_of", XAU)
    paid = {}
    for stage in [name for name in guarded.lockstep.addresses if name.endswith("Stage")] + ["Junior"]:
        capacity = min(deficit, guarded.read(f"{stage}.capacity", XAU))
        assert 2 * guarded.gas(f"{stage}.capacity", XAU) < BOUNDS["CAPACITY_GAS"]
        paid[stage] = guarded.gas(f"{stage}.absorb", XAU, capacity, sender="LossWaterfall")
    # Each of them is a group; runs are groups, too, and as many as may be fit beside them.
    each = paid["Junior"] // MOST_UNSETTLED
    assert MOST_GROUPS * each * 5 // 4 < BOUNDS["ABSORB_GAS"] < 2 * MOST_GROUPS * each
    assert 2 * max(paid.values()) < BOUNDS["ABSORB_GAS"]
    assert 2 * guarded.gas("Junior.unvested") < BOUNDS["UNVESTED_GAS"]
    unvested = guarded.read("Junior.unvested") * RAY
    assert unvested > RAD // 2
    assert (
        2 * guarded.gas("Junior.claw_back", XAU, unvested, sender="ClawbackStage") < BOUNDS["CLAW_BACK_GAS"]
    )
