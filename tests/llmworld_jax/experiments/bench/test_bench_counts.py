"""What is counted is what is computed: operations against XLA's own count, nodes against those that are evaluated."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmworld_jax import laws
from llmworld_jax.codec import NumberCodec
from llmworld_jax.experiments.bench.flops import (
    head_flops,
    matrix_parameters,
    pass_flops,
    token_flops,
    tree_flops,
    tree_nodes,
)
from llmworld_jax.experiments.bench.timing import interleaved, quantity
from llmworld_jax.models.forward import forward
from llmworld_jax.models.readout import logits
from llmworld_jax.numerals import Numerals

WIDE = dict(num_layers=1, d_model=128, d_mlp=512, num_heads=4, num_kv_heads=2, head_dim=32, tied=False)
"""Of one layer, because XLA counts the body of a loop once; wide, so that matrices dominate."""


def codec_of(digits: int) -> NumberCodec:
    levels = (tuple(range(3, 13)),) * digits
    return NumberCodec(Numerals(digits, 0.0, 1.0), (1,), (), ",", (13,), levels, "single", levels[0], "single")


def xla_flops(function, *given) -> float:
    return jax.jit(function).lower(*given).compile().cost_analysis()["flops"]


def test_matrix_parameters_are_those_of_the_blocks_alone(tiny_llama):
    model = tiny_llama(num_layers=3)
    d, m, q, kv = 32, 48, 4 * 8, 2 * 8
    assert matrix_parameters(model) == 3 * (2 * d * q + 2 * d * kv + 3 * d * m)
    assert matrix_parameters(jax.eval_shape(lambda: model)) == matrix_parameters(model)


def test_a_pass_costs_what_xla_says(tiny_llama):
    model, tokens = tiny_llama(**WIDE), jnp.arange(24) % 40
    counted = pass_flops(model.config, matrix_parameters(model), 24) + head_flops(model.config, 1, 40)
    known = xla_flops(lambda m, t: logits(m, forward(m, t).hidden[-1]), model, tokens)
    assert counted == pytest.approx(known, rel=0.05)


@pytest.mark.parametrize("whole", [True, False])
def test_a_tree_costs_what_xla_says(tiny_llama, whole):
    """One state, so that nothing is in a loop: the pass over the prefix, and 110 nodes of up to two digits."""
    model, codec = tiny_llama(**WIDE, vocab_size=400), codec_of(3)
    prompt = codec.prompt(np.arange(6))
    at, length = prompt.item_at[-1:], len(prompt.tokens)

    def law(model, tokens):
        return laws.number_laws(
            model, codec, prompt._replace(tokens=tokens, item_at=at), off_grid="tree" if whole else "first"
        )[1:]

    matrices = matrix_parameters(model)
    counted = tree_flops(model.config, matrices, codec.branch, at, whole) + pass_flops(model.config, matrices, length)
    assert counted == pytest.approx(xla_flops(law, model, jnp.asarray(prompt.tokens)), rel=0.05)


def test_attention_grows_with_the_keys_that_are_seen(tiny_llama):
    config = tiny_llama().config
    more = token_flops(config, 0, 11) - token_flops(config, 0, 1)
    assert more == 10 * 4 * 2 * 4 * 8


@pytest.mark.parametrize(("digits", "each"), [(2, 10), (3, 110)])
def test_nodes_are_those_that_are_evaluated(tiny_llama, monkeypatch, digits, each):
    rows, plain = [], laws.tree_forward

    def counting(model, cache, branches, **how):
        rows.append(branches.tokens.shape[0])
        return plain(model, cache, branches, **how)

    monkeypatch.setattr(laws, "tree_forward", counting)
    codec = codec_of(digits)
    prompt = codec.prompt(np.arange(4))
    model = tiny_llama(num_layers=1)
    jax.eval_shape(lambda m: laws.number_laws(m, codec, prompt, rows=1024)[1:], model)
    assert rows == [tree_nodes(codec.branch, 4)] == [4 * each]


def test_every_side_is_called_once_a_round_in_turn():
    called = []
    sides = {name: lambda name=name: called.append(name) for name in ("ours", "theirs", "other")}
    seconds = interleaved(sides, 3, 0.0)
    assert called == ["ours", "theirs", "other"] * 3
    assert {name: each.shape for name, each in seconds.items()} == dict.fromkeys(sides, (3,))


def test_a_quantity_is_the_median_and_the_extremes():
    assert quantity([4.0, 1.0, 2.0]) == (2.0, 1.0, 4.0)
