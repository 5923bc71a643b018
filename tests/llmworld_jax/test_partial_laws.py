import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from analyses.mixed_resolution import group_mass, mixed_grid
from llmworld_jax.codec import NumberCodec
from llmworld_jax.errors import InputError
from llmworld_jax.laws import number_laws, with_forecast
from llmworld_jax.models.config import ModelConfig
from llmworld_jax.models.llama import Llama
from llmworld_jax.numerals import Numerals
from llmworld_jax.partial_laws import _check, _partial_laws, partial_laws
from llmworld_jax.refinement import refinement

CONFIG = ModelConfig("llama", 44, 32, 2, 4, 2, 8, 48, 1e-5, 1e4, None, False, 512)
GRIDS = [(2, "neighbor", 0, 5), (3, "neighbor", 2, 10), (4, "neighbor", 2, 4)]


@functools.cache
def tiny(dtype="float32"):
    empty = jax.eval_shape(lambda: Llama(CONFIG, key=jax.random.key(0), dtype=jnp.dtype(dtype)))
    rng = np.random.default_rng(3)  # not Llama's own numbers: they take seconds to compile
    return jax.tree.map(lambda a: jnp.asarray(rng.normal(0.0, 0.5, a.shape), a.dtype), empty)


def codec(precision, base=10, start=(1,), low=0.0, high=1.0):
    """Every level writes its digits with tokens of its own, out of order: nothing may take one for another."""
    tokens = np.random.default_rng(0).permutation(np.arange(2, 42))
    levels = tuple(tuple(tokens[base * k : base * (k + 1)].tolist()) for k in range(precision))
    every = tuple(itertools.chain(*levels))
    numerals = Numerals(precision, low, high, base)
    return NumberCodec(numerals, start, (), ",", (0,), levels, "single", every, "single")


def series(numerals, length=9, seed=0):
    """Codes with the first digits at both ends of their range, so that a neighbour is missing."""
    codes = np.random.default_rng(seed).integers(0, numerals.num_bins, length)
    codes[:2] = 0, numerals.num_bins - 1
    return codes


def spread(laws, codes, numerals, mode, depth):
    """The view: complete mass of every cell of the mixed grid, spread evenly over the bins of the cell."""
    edges = jnp.asarray(numerals.edges())

    @jax.jit
    @jax.vmap
    def cell_by_cell(mass, digits):
        grid = mixed_grid(digits, edges, depth=depth, mode=mode, base=numerals.base)
        size = group_mass(jnp.ones_like(mass), grid)
        return (group_mass(mass, grid) / size)[grid.segment]

    return cell_by_cell(jnp.exp(laws.log_mass), jnp.asarray(numerals.digits(codes)))


@pytest.mark.parametrize(
    ("mode", "depth", "nodes"),
    [("all", 0, 0), ("all", 1, 9), ("neighbor", 1, 2), ("neighbor", 2, 31), ("all", 2, 108)],
)
def test_evaluates_no_more_prefixes_than_the_paper(mode, depth, nodes):
    assert refinement(10, depth, mode).level.size == nodes


@pytest.mark.once
@pytest.mark.parametrize(("precision", "mode", "depth", "base"), GRIDS)
def test_is_the_mixed_resolution_view_of_the_complete_law(precision, mode, depth, base):
    c = codec(precision, base)
    codes = series(c.numerals)
    prompt = c.prompt(codes)
    laws = partial_laws(tiny(), c, prompt, codes, mode=mode, refine_depth=depth)
    expected = spread(number_laws(tiny(), c, prompt), codes, c.numerals, mode, depth)
    np.testing.assert_allclose(np.exp(laws.log_mass), expected, atol=1e-6)
    np.testing.assert_allclose(np.exp(laws.log_mass), expected, rtol=2e-4)
    np.testing.assert_array_equal(laws.edges, c.numerals.edges())


def test_with_every_prefix_it_is_the_complete_law_and_less_leaks_at_fewer():
    c = codec(3)
    codes = series(c.numerals)
    prompt = c.prompt(codes)
    complete = number_laws(tiny(), c, prompt)
    every = partial_laws(tiny(), c, prompt, codes, mode="all", refine_depth=2, off_grid="tree")
    np.testing.assert_allclose(every.log_mass, complete.log_mass, atol=2e-5)
    np.testing.assert_allclose(every.off_grid, complete.off_grid, atol=1e-6)
    some = partial_laws(tiny(), c, prompt, codes, mode="neighbor", refine_depth=2, off_grid="tree")
    first = partial_laws(tiny(), c, prompt, codes, mode="neighbor", refine_depth=2)
    assert jnp.all(first.off_grid < some.off_grid)
    assert jnp.all(some.off_grid < complete.off_grid)


def test_without_start_token_the_first_number_has_no_law():
    c = codec(2, base=5, start=())
    codes = series(c.numerals)
    laws = partial_laws(tiny(), c, c.prompt(codes), codes, mode="neighbor", refine_depth=1)
    assert np.isnan(laws.log_mass[0]).all()
    assert np.isnan(laws.off_grid[0])
    np.testing.assert_allclose(jax.nn.logsumexp(laws.log_mass[1:], axis=-1), 0.0, atol=1e-5)


def test_chunks_do_not_matter_and_vmap_over_series_is_a_loop():
    model, c = tiny(), codec(3)
    codes = np.stack([series(c.numerals, seed=seed) for seed in range(3)])
    prompts = [c.prompt(row) for row in codes]

    def laws(tokens, codes):
        prompt = prompts[0]._replace(tokens=tokens)
        return partial_laws(model, c, prompt, codes, mode="neighbor", refine_depth=2, rows=70).log_mass

    together = jax.jit(jax.vmap(laws))(jnp.stack([p.tokens for p in prompts]), jnp.asarray(codes))
    for row, prompt, batched in zip(codes, prompts, together):
        alone = partial_laws(model, c, prompt, row, mode="neighbor", refine_depth=2).log_mass
        np.testing.assert_allclose(batched, alone, atol=2e-5)


@pytest.mark.slow
def test_gradient_is_the_finite_difference():
    with jax.enable_x64(True):
        model = tiny("float64")
        c = codec(3, base=3)
        codes = series(c.numerals, 5)
        prompt = c.prompt(codes)
        start = model.embed[...][prompt.tokens]

        @jax.jit
        @jax.value_and_grad
        def loss(embeddings):
            laws = partial_laws(
                model, c, prompt, codes, mode="neighbor", refine_depth=2, embeddings=embeddings, remat=True
            )
            return jnp.sum(laws.log_mass[jnp.arange(5), codes] + laws.log_mass[:, 4])

        along = jax.random.normal(jax.random.key(1), start.shape, jnp.float64)
        step = 1e-5 * along
        slope = (loss(start + step)[0] - loss(start - step)[0]) / 2e-5
        assert math.isclose(float(jnp.vdot(loss(start)[1], along)), float(slope), rel_tol=1e-6)


def test_another_range_does_not_recompile():
    sizes = []
    for low in (0.0, 5.0):
        c = codec(2, base=5, low=low, high=low + 2.0)
        codes = series(c.numerals)
        partial_laws(tiny(), c, c.prompt(codes), codes, mode="neighbor", refine_depth=0)
        sizes.append(_partial_laws._cache_size())
    assert sizes[0] == sizes[1]


def test_what_cannot_be_answered_is_refused():
    c = codec(2)
    codes = series(c.numerals)
    prompt = c.prompt(codes)
    good = {"mode": "all", "refine_depth": 1}
    chunked = NumberCodec(c.numerals, (1,), (), ",", (0,), (tuple(range(100)),), "chunk", (), "chunk2")
    with pytest.raises(InputError, match="one token a digit"):
        partial_laws(tiny(), chunked, prompt, codes, **good)
    for wrong in ({"refine_depth": 2}, {"refine_depth": -1}, {"refine_depth": True}):
        with pytest.raises(InputError, match="refine_depth"):
            partial_laws(tiny(), c, prompt, codes, **(good | wrong))
    with pytest.raises(InputError, match="mode"):
        _check(c, prompt, codes, "none", 1)
    with pytest.raises(InputError, match="shape"):
        partial_laws(tiny(), c, prompt, codes[1:], **good)
    other = codes.copy()
    other[4] = (other[4] + 1) % 100
    with pytest.raises(InputError, match="item 4"):
        partial_laws(tiny(), c, prompt, other, **good)
    with pytest.raises(InputError, match="forecast"):
        partial_laws(tiny(), c, with_forecast(prompt), np.append(codes, 7), **good)
