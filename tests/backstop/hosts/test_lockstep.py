"""Lockstep sees every kind of difference, writes it down, and runs it again."""

import random

import pytest

from backstop.contract_base import Log, RevertError, World
from backstop.deployment.role_accounts import get_account
from backstop.errors import BackstopError
from backstop.hosts.chain_system import ChainSystem
from backstop.hosts.host_interface import CHAIN_ID, GENESIS
from backstop.hosts.model_system import ModelSystem
from backstop.lockstep.lockstep_difference import DivergenceError
from backstop.model.arithmetic import WAD
from backstop.proof.local_protocol import LocalProtocol
from backstop.proof.lockstep import ProtocolLockstep, deploy_lockstep, replay_trace_in_lockstep
from backstop.proof.properties import PropertyViolationError
from backstop.proof.replayable_trace import read_trace, write_trace_json
from backstop.system import Action
from tests.support.revert_setter_and_source_helpers import edit_contracts

BRIEF = (
    "tests/backstop/proof/fuzz/test_campaign.py"
    "::test_a_value_without_room_in_its_slot_is_found_with_its_trace"
)

SAVER, TAKER = get_account("saver"), get_account("taker")
ALL = ("revm", "py-evm", pytest.param("anvil", marks=pytest.mark.anvil))


@pytest.fixture
def empty_on(new_host):
    """A lockstep without contracts."""

    def make(name, artifacts, **options):
        chain = ChainSystem(new_host(name), artifacts, {}, {})
        return ProtocolLockstep(ModelSystem(World(GENESIS, CHAIN_ID)), chain, **options)

    return make


@pytest.fixture
def mutated(tmp_path):
    """The contracts with one edit."""

    def edit(file, old, new):
        return edit_contracts(tmp_path, file, old, new)

    return edit


def with_token(both):
    both.create_contract("Token", "GOLD", "Gold", "GOLD", 18)
    both.apply(Action("GOLD", "mint", (SAVER, 100), SAVER))
    return both


SPEND = Action("GOLD", "transfer", (TAKER, 30), SAVER)
OVERSPEND = Action("GOLD", "transfer", (TAKER, 300), SAVER)


@pytest.mark.parametrize(
    ("old", "new", "action", "path", "model", "chain"),
    [
        (
            "token: insufficient balance",
            "token: too poor",
            OVERSPEND,
            "reason",
            "token: insufficient balance",
            "token: too poor",
        ),
        ("self.balanceOf[to] += amount\n    log Transfer(sender=owner", None, SPEND, "balanceOf", 30, 31),
        ("    self._move_tokens(msg.sender, to, amount)\n    return True", None, SPEND, "value", True, False),
        ("    log Transfer(sender=owner, receiver=to, amount=amount)\n", "", SPEND, "logs", None, ()),
        (
            "log Transfer(sender=owner, receiver=to, amount=amount)",
            "log Transfer(sender=owner, receiver=to, amount=amount // 2)",
            SPEND,
            "logs",
            None,
            (Log("GOLD", "Transfer", (SAVER, TAKER, 15)),),
        ),
    ],
    ids=["reason", "slot", "value", "no event", "event"],
)
def test_one_wrong_line_is_found(empty_on, mutated, old, new, action, path, model, chain):
    if new is None:
        new = old.replace("+= amount", "+= amount + 1").replace("return True", "return False")
    both = with_token(empty_on("revm", mutated("devnet/Token.vy", old, new)))
    with pytest.raises(DivergenceError) as caught:
        both.apply(action)
    difference = caught.value.differences[0]
    assert (difference.step, difference.action, difference.contract) == (2, action, "GOLD")
    assert (difference.path, difference.chain) == (path, chain)
    if model is not None:
        assert difference.model == model


def test_a_slot_that_the_model_did_not_write_is_found(empty_on, mutated):
    artifacts = mutated(
        "devnet/Token.vy",
        "    self._move_tokens(msg.sender, to, amount)\n",
        "    self._move_tokens(msg.sender, to, amount)\n    self.totalSupply += 1\n",
    )
    with pytest.raises(DivergenceError, match=r"GOLD totalSupply: model 100, chain 101"):
        with_token(empty_on("revm", artifacts)).apply(SPEND)
    only_written = with_token(empty_on("revm", artifacts, check_every=0))
    only_written.apply(SPEND)
    with pytest.raises(DivergenceError, match="totalSupply"):
        only_written.compare_state()


def test_all_state_is_read_in_a_steady_rhythm(empty_on, mutated):
    """A step reads a few slots however many there are; an unexpected write is found once all were read."""
    artifacts = mutated(
        "devnet/Token.vy",
        "    self._move_tokens(msg.sender, to, amount)\n",
        "    self._move_tokens(msg.sender, to, amount)\n    self.totalSupply = 7\n",
    )
    both = with_token(empty_on("revm", artifacts, check_every=None))
    for i in range(400):
        both.apply(Action("GOLD", "mint", (get_account(f"holder_{i}"), 1), SAVER))
    compared = both.fields_compared
    with pytest.raises(DivergenceError, match=r"GOLD totalSupply: model 500, chain 7") as caught:
        while both.steps < 600:
            both.apply(SPEND if both.steps == 401 else Action("GOLD", "approve", (TAKER, 1), SAVER))
    assert 401 < caught.value.differences[0].step <= 401 + 402 // 8 + 1
    assert both.fields_compared - compared < 1_000  # all state once
    once = with_token(empty_on("revm", artifacts, check_every=None))
    for i in range(400):
        once.apply(Action("GOLD", "mint", (get_account(f"holder_{i}"), 1), SAVER))
    once.apply(SPEND)
    with pytest.raises(DivergenceError, match="totalSupply"):
        once.compare_state()  # as a run ends


@pytest.mark.deep(brief=BRIEF)
def test_a_wrong_field_of_a_record_is_named(mutated, new_host, tmp_path):
    artifacts = mutated(
        "VaultEngine.vy", "(vault.normalized_debt << 104)", "(vault.normalized_debt + 1 << 104)"
    )
    both = LocalProtocol(deploy_lockstep(new_host("revm"), artifacts=artifacts, traces=tmp_path))
    both.mint_and_approve_collateral("WETH", "borrower", WAD)
    with pytest.raises(DivergenceError) as caught:
        both.do("VaultEngine.deposit_and_draw", 0, "borrower", WAD, 0, "borrower", sender="borrower")
    difference = caught.value.differences[0]
    assert (difference.path, difference.key) == ("vaults", (0, get_account("borrower")))
    assert (difference.field, difference.model, difference.chain) == ("normalized_debt", 0, 1)


@pytest.fixture
def with_a_hidden_write(mutated):
    return mutated(
        "devnet/Token.vy",
        "    self._move_tokens(msg.sender, to, amount)\n",
        "    self._move_tokens(msg.sender, to, amount)\n    self.allowance[to][to] = 5\n",
    )


def test_an_audit_finds_a_slot_that_the_model_does_not_know(empty_on, with_a_hidden_write):
    both = with_token(empty_on("revm", with_a_hidden_write))
    assert both.audit_storage() == 2
    both.apply(SPEND)
    with pytest.raises(DivergenceError, match=r"GOLD slot 0x\w+: model None, chain 5"):
        both.audit_storage()


@pytest.mark.anvil
def test_anvil_tells_of_a_slot_that_the_model_does_not_know(empty_on, with_a_hidden_write):
    both = with_token(empty_on("anvil", with_a_hidden_write))
    assert both.audit_storage() == 2
    with pytest.raises(DivergenceError, match=r"GOLD slot 0x\w+: model None, chain 5"):
        both.apply(SPEND)


@pytest.mark.anvil
def test_anvil_tells_of_a_wrong_word_at_once(empty_on, mutated):
    artifacts = mutated("devnet/Token.vy", "self.balanceOf[to] += amount\n    log T", "log T")
    both = empty_on("anvil", artifacts, check_every=0)
    both.create_contract("Token", "GOLD", "Gold", "GOLD", 18)
    with pytest.raises(DivergenceError, match=r"GOLD balanceOf\[0x\w+\]: model 100, chain 0"):
        both.apply(Action("GOLD", "mint", (SAVER, 100), SAVER))


def test_a_view_that_differs_is_found(empty_on, mutated):
    both = with_token(empty_on("revm", mutated("devnet/Token.vy", "decimals = decimals_", "decimals = 7")))
    with pytest.raises(DivergenceError, match="GOLD value: model 18, chain 7"):
        both.view("GOLD", "decimals")


def test_a_violated_property_is_reported_with_its_step(empty_on, artifacts):
    def nobody_is_rich(snapshot, addresses, written):
        if max(snapshot["GOLD"]["balanceOf"].values(), default=0) > 80:
            raise PropertyViolationError("property 0 is violated")

    both = empty_on("revm", artifacts)
    both.create_contract("Token", "GOLD", "Gold", "GOLD", 18)
    both.state_check = nobody_is_rich
    both.apply(Action("GOLD", "mint", (SAVER, 80), SAVER))
    with pytest.raises(PropertyViolationError) as caught:
        both.apply(Action("GOLD", "mint", (SAVER, 1), SAVER))
    assert "at step 2, " in str(caught.value)


def test_a_fault_of_the_model_keeps_its_place(empty_on, artifacts):
    both = with_token(empty_on("revm", artifacts))
    both.model.world.contracts["GOLD"].balances = None
    with pytest.raises(TypeError) as caught:
        both.apply(SPEND)
    assert "the model failed at step 2" in caught.value.__notes__[0]


def test_a_value_without_room_in_its_slot_is_a_difference(empty_on, artifacts):
    both = with_token(empty_on("revm", artifacts))
    dict.__setitem__(both.model.world.contracts["GOLD"].balances, SAVER, 2**256 + 100)
    with pytest.raises(DivergenceError) as caught:
        both.apply(SPEND)
    (difference,) = caught.value.differences
    assert (difference.step, difference.action, difference.contract) == (2, SPEND, "GOLD")
    assert (difference.path, difference.key, difference.model) == ("balanceOf", SAVER, 2**256 + 70)
    assert difference.chain == "room for a storage slot"


@pytest.mark.parametrize("host", ALL)
def test_what_is_imagined_is_compared_and_taken_back(empty_on, artifacts, host):
    both = with_token(empty_on(host, artifacts))
    steps, trace, state, began = both.steps, list(both.trace), both.snapshot(), both.timestamp
    with both.fork_state() as imagined:
        imagined.advance(3_600)
        assert imagined.apply(SPEND).ok
        assert imagined.apply(OVERSPEND).reason == "token: insufficient balance"
        assert imagined.view("GOLD", "balanceOf", TAKER) == 30
    assert (both.steps, both.trace, both.timestamp) == (steps, trace, began)
    after = both.snapshot()
    assert all(
        after["GOLD"][path][key] == word
        for path in state["GOLD"]
        for key, word in state["GOLD"][path].items()
    )
    assert both.view("GOLD", "balanceOf", TAKER) == 0
    both.compare_state()
    both.audit_storage()
    # Life goes on from where it was.
    both.advance(60)
    assert both.apply(SPEND).ok
    both.compare_state()


def test_a_difference_in_what_is_imagined_is_found(empty_on, mutated):
    wrong = mutated("devnet/Token.vy", "self.balanceOf[to] += amount", "self.balanceOf[to] += 2 * amount")
    both = empty_on("revm", wrong)
    both.create_contract("Token", "GOLD", "Gold", "GOLD", 18)
    with pytest.raises(DivergenceError), both.fork_state():
        both.apply(Action("GOLD", "mint", (SAVER, 100), SAVER))


def test_both_have_to_start_at_one_time(new_host, artifacts):
    chain = ChainSystem(new_host("revm"), artifacts, {}, {})
    with pytest.raises(BackstopError, match="the chain at"):
        ProtocolLockstep(ModelSystem(World(GENESIS + 1, CHAIN_ID)), chain)


@pytest.mark.deep(cases=2)
@pytest.mark.parametrize("host", ALL)
def test_a_divergence_is_written_down_and_can_be_run_again(mutated, artifacts, new_host, tmp_path, host):
    broken = mutated("devnet/Token.vy", "token: insufficient balance", "token: too poor")
    both = deploy_lockstep(new_host("revm"), artifacts=broken, seed=7, traces=tmp_path / "traces")
    protocol = LocalProtocol(both)
    both.create_contract("NoReturnToken", "MORE", "More", "MORE", 6)
    protocol.post_price("WETH", 2_000 * 10**27)
    protocol.advance(17)
    protocol.do("MORE.mint", "saver", 2**255, sender="saver")
    with pytest.raises(DivergenceError) as caught:
        protocol.do("WETH.transfer", "taker", 1, sender="saver")
    assert caught.value.trace is not None
    assert f"ape run replay {caught.value.trace}" in str(caught.value)
    trace = read_trace(caught.value.trace, artifacts)
    assert (trace.seed, trace.parameters, list(trace.steps)) == (7, both.parameters, both.trace)
    with pytest.raises(DivergenceError) as again:
        replay_trace_in_lockstep(trace, new_host(host), artifacts=broken)
    assert again.value.differences == caught.value.differences
    repaired = replay_trace_in_lockstep(trace, new_host(host), artifacts=artifacts)
    assert (repaired.steps, repaired.timestamp) == (both.steps, both.timestamp)


def test_a_trace_comes_back_as_it_was(protocol, artifacts, tmp_path):
    protocol.borrow("borrower", "WETH", 10 * WAD, 6_000 * WAD)
    recorded = protocol.lockstep.build_trace("for the record")
    write_trace_json(recorded, tmp_path / "trace.json")
    assert read_trace(tmp_path / "trace.json", artifacts) == recorded


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "trace .* not found"),
        ("{", "not a valid trace"),
        ("[]", "schema version None"),
        ('{"schema_version": 2}', "schema version 2"),
        ('{"schema_version": 3}', "not a valid trace"),
    ],
)
def test_a_broken_trace_is_one_clear_error(artifacts, tmp_path, content, message):
    path = tmp_path / "trace.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(BackstopError, match=message):
        read_trace(path, artifacts)


def test_a_revert_of_both_is_a_revert_of_the_view(protocol):
    with pytest.raises(RevertError, match="terms: unknown type"):
        protocol.read("VaultEngine.terms_of", 31)


@pytest.mark.deep(cases=1)
@pytest.mark.parametrize(
    ("host", "steps"), [("revm", 3_000), pytest.param("anvil", 200, marks=pytest.mark.anvil)]
)
def test_random_tokens_and_markets(empty_on, artifacts, host, steps):
    """Everything that surrounds the protocol, over ordinary and absurd amounts."""
    both = empty_on(host, artifacts)
    maker = get_account("market_maker")
    both.create_contract("Token", "USD", "Dollar", "USD", 18)
    tokens = {
        "T18": ("Token", 18),
        "T8": ("NoReturnToken", 8),
        "T6": ("ReturnsFalseToken", 6),
        "FEE": ("FeeOnTransferToken", 18),
    }
    for name, (kind, decimals) in tokens.items():
        both.create_contract(kind, name, name, name, decimals)
        token, dollar = both.addresses[name], both.addresses["USD"]
        both.create_contract("ConstantProductMarket", f"Market.{name}", token, decimals, dollar, 30, maker)
    random_ = random.Random(1)
    people = [get_account(f"owner_{i}") for i in range(6)] + [maker] * 3
    succeeded = set()
    for _ in range(steps):
        name = random_.choice([*tokens, "USD"])
        market = f"Market.{random_.choice([*tokens])}"
        who, other = random_.choice(people), random_.choice(people)
        amount = random_.choice([0, 1, 10**6, 10**18, random_.randrange(10**21), 2**256 - 1])
        action = random_.choice(
            [
                Action(name, "mint", (other, random_.randrange(10**22)), who),
                Action(name, "approve", (both.addresses[market], amount), who),
                Action(name, "approve", (other, amount), who),
                Action(name, "transfer", (other, amount), who),
                Action(name, "transferFrom", (random_.choice(people), other, amount), who),
                Action(market, "set_liquidity", (random_.randrange(10**20), random_.randrange(10**20)), who),
                Action(market, "sell", (amount, 0, other), who),
                Action(market, "buy", (amount, 1, other), who),
            ]
        )
        both.advance(random_.choice((0, 0, 12)))
        if both.apply(action).ok:
            succeeded.add(action.method)
        both.view(market, "price")
        for quote in ("quote_sell", "quote_buy"):
            both.view(market, quote, min(amount, 10**30))
    assert both.audit_storage() > 10
    if steps > 1_000:
        assert succeeded >= {"mint", "approve", "transfer", "transferFrom", "set_liquidity", "sell", "buy"}


def spends(both, count):
    with_token(both)
    return [both.apply(Action("GOLD", "transfer", (TAKER, amount), SAVER)) for amount in range(count)]


@pytest.mark.parametrize("host", ALL)
@pytest.mark.parametrize("block", [2, 7, 100])
def test_steps_in_one_block_are_those_of_blocks_of_their_own(empty_on, artifacts, host, block):
    alone, together = empty_on(host, artifacts), empty_on(host, artifacts, block=block, check_every=0)
    assert spends(alone, 20) == spends(together, 20)
    together.advance(1)
    together.compare_state()
    assert together.snapshot() == alone.snapshot()
    assert together.fields_compared >= 20 * 2
    together.audit_storage()


@pytest.mark.anvil
def test_a_difference_inside_a_block_is_that_of_its_step(empty_on, mutated):
    wrong = mutated("devnet/Token.vy", "self.balanceOf[to] += amount", "self.balanceOf[to] += amount % 13")
    both = empty_on("anvil", wrong, block=50, check_every=0)
    spends(both, 20)
    with pytest.raises(DivergenceError) as caught:
        both.apply_pending_chain_steps()
    # The faucet gave 100 % 13 instead of 100 already.
    assert caught.value.differences[0].step == 1
    assert len(both.trace) == 2  # the token, and the step
