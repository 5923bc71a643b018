"""Edits: against a plain Llama whose activations are replaced by hand, their algebra, one program for a sweep."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmworld_jax.axes import SITES
from llmworld_jax.errors import InputError
from llmworld_jax.models import edits
from llmworld_jax.models.capture import capture
from llmworld_jax.models.forward import forward

RANDOM = np.random.default_rng(5)
TOKENS = jnp.asarray(RANDOM.integers(0, 40, 11), jnp.int32)
AT = np.isin(np.arange(11), (3, 7)).astype(float)


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


@pytest.fixture
def model(double, tiny_llama):
    return tiny_llama(dtype=jnp.float64, num_layers=3)


def width_of(site: str) -> int:
    return 48 if site == "mlp_act" else 32


def by_hand(site: str, layer: int, change):
    """A callback that changes one site of one block at the positions ``AT``."""

    def edit(name: str, i: int, x: np.ndarray) -> np.ndarray:
        return np.where(AT[:, None] > 0, change(x), x) if (name, i) == (site, layer) else x

    return edit


def same(model, plain, edit: edits.Edit, change, site: str, layer: int) -> None:
    hidden, sites, _ = plain(model, TOKENS, by_hand(site, layer, change))
    out = forward(model, TOKENS, taps=SITES, edits=(edit,))
    np.testing.assert_allclose(out.hidden, hidden, rtol=0, atol=1e-11)
    for name in SITES:
        np.testing.assert_allclose(out.taps[name], sites[name], rtol=0, atol=1e-11)
    untouched = plain(model, TOKENS)[0]
    assert np.abs(hidden - untouched).max() > 1e-3, "the edit under test must do something"


@pytest.mark.parametrize("site", SITES)
def test_adding_and_setting_at_every_site_equal_the_same_by_hand(model, plain, site):
    vector = RANDOM.normal(size=width_of(site))
    same(model, plain, edits.add(site, 1, jnp.asarray(vector), AT), lambda x: x + vector, site, 1)
    same(model, plain, edits.set_to(site, 1, jnp.asarray(vector), AT), lambda x: vector + 0 * x, site, 1)


@pytest.mark.parametrize("site", ["resid_pre", "mlp_act", "resid_post"])
def test_projecting_out_leaves_nothing_in_the_span(model, plain, site):
    basis = RANDOM.normal(size=(2, width_of(site)))
    q = np.linalg.qr(basis.T)[0]
    same(model, plain, edits.project_out(site, 1, jnp.asarray(basis), AT), lambda x: x - x @ q @ q.T, site, 1)
    x = forward(model, TOKENS, taps=(site,), edits=(edits.project_out(site, 1, jnp.asarray(basis)),)).taps[site][1]
    np.testing.assert_allclose(x @ basis.T, 0, atol=1e-12)


def test_a_neuron_is_pinned_and_ablated(model, plain):
    chosen = np.arange(48) == 17
    same(model, plain, edits.pin_neuron(2, 17, 2.5, 48, AT), lambda x: np.where(chosen, 2.5, x), "mlp_act", 2)
    same(model, plain, edits.ablate_neuron(0, 17, 48, AT), lambda x: np.where(chosen, 0.0, x), "mlp_act", 0)


def test_a_head_is_ablated(model, plain):
    chosen = np.arange(32) // 8 == 2
    same(model, plain, edits.ablate_head(1, 2, 4, 8, AT), lambda x: np.where(chosen, 0.0, x), "z", 1)


def test_patching_everything_in_from_another_run_gives_that_run(model):
    other = jnp.asarray(RANDOM.integers(0, 40, 11), jnp.int32)
    there = forward(model, other, taps=("resid_post",))
    patched = forward(model, TOKENS, edits=(edits.set_to("resid_post", 1, there.taps["resid_post"][1]),))
    np.testing.assert_array_equal(patched.hidden, there.hidden)


def test_strength_is_linear_in_the_activation_and_exact_at_both_ends(model):
    vector, plain = jnp.asarray(RANDOM.normal(size=32)), forward(model, TOKENS, taps=("resid_mid",)).taps["resid_mid"]

    def at(strength):
        edit = edits.set_to("resid_mid", 2, vector, strength)
        return forward(model, TOKENS, taps=("resid_mid",), edits=(edit,)).taps["resid_mid"]

    np.testing.assert_array_equal(at(0.0), plain)
    np.testing.assert_array_equal(at(1.0)[2], jnp.broadcast_to(vector, (11, 32)))
    np.testing.assert_allclose(at(0.25)[2], 0.75 * plain[2] + 0.25 * vector, atol=1e-12)


def test_edits_of_one_site_are_applied_in_the_order_given(model):
    one, two = (edits.set_to("resid_pre", 0, jnp.full(32, x)) for x in (1.0, 2.0))
    first = forward(model, TOKENS, taps=("resid_pre",), edits=(two, one)).taps["resid_pre"][0]
    np.testing.assert_array_equal(first, 1.0)


def test_a_sweep_over_layers_directions_and_strengths_compiles_once_and_vmap_equals_the_loop(model):
    directions = jnp.asarray(RANDOM.normal(size=(3, 32)))
    layers, strengths = jnp.array([0, 1, 2]), jnp.array([0.5, 1.0, -2.0])

    def last(layer, direction, strength):
        edit = edits.add("resid_post", layer, strength * direction, jnp.asarray(AT))
        return forward(model, TOKENS, edits=(edit,)).hidden[-1]

    once = jax.jit(chex.assert_max_traces(last, n=1))
    loop = np.stack([once(*args) for args in zip(layers, directions, strengths)])
    np.testing.assert_allclose(jax.vmap(last)(layers, directions, strengths), loop, atol=1e-12)

    def without(neuron):
        return forward(model, TOKENS, edits=(edits.ablate_neuron(1, neuron, 48),)).hidden

    neuron = jax.jit(chex.assert_max_traces(without, n=1))
    assert np.abs(neuron(3) - neuron(4)).max() > 1e-6


@pytest.mark.once
def test_the_gradient_with_respect_to_a_direction_is_the_finite_difference(model):
    start, step = jnp.asarray(RANDOM.normal(size=32)), jnp.asarray(RANDOM.normal(size=32))

    def score(direction):
        return forward(model, TOKENS, edits=(edits.add("resid_mid", 1, direction, AT),), remat=True).hidden[-1].sum()

    slope = jax.grad(score)(start) @ step
    np.testing.assert_allclose(slope, (score(start + 1e-5 * step) - score(start - 1e-5 * step)) / 2e-5, rtol=1e-6)


def test_a_site_that_does_not_exist_is_refused():
    with pytest.raises(InputError, match="resid_psot"):
        edits.add("resid_psot", 0, jnp.ones(32))


def test_an_edit_in_float32_keeps_the_dtype_of_the_model(tiny_llama):
    small = tiny_llama(dtype=jnp.bfloat16)
    edit = edits.add("resid_post", 0, jnp.ones(32, jnp.float32))
    assert forward(small, TOKENS, edits=(edit,)).hidden.dtype == jnp.bfloat16


def test_capture_sees_the_edited_run(model):
    edit = edits.ablate_neuron(1, 5, 48)
    got = capture(model, TOKENS, sites=("mlp_act",), layers=(2, 1), edits=(edit,))["mlp_act"]
    np.testing.assert_array_equal(got[1][:, 5], 0)
    whole = forward(model, TOKENS, taps=("mlp_act",), edits=(edit,)).taps["mlp_act"]
    np.testing.assert_allclose(got, whole[np.array([2, 1])], atol=1e-12)
