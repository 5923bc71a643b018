"""What ``import llmworld_jax`` gives, what it costs, and that it works under a user's own transforms.

llmworld_jax is imported inside the tests and fixtures, because jaxtyping's checker must be installed first.
"""

import ast
import doctest
import importlib
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


def python(code: str) -> str:
    """Output of a fresh interpreter that has no accelerator and no CPU to start."""
    environment = os.environ | {"JAX_PLATFORMS": "no_such_platform", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def world(tiny_llama, single_tokenizer):
    """A tiny model, a codec of two digits and two series of one length."""
    import llmworld_jax as lw

    model = tiny_llama(vocab_size=single_tokenizer.vocab_size)
    codec = lw.number_codec(single_tokenizer, lw.Numerals(precision=2, low=0.0, high=1.0))
    codes = np.random.default_rng(0).integers(0, 100, (2, 6))
    return model, codec, codes


def test_an_import_loads_nothing():
    """So it takes no time, and a command line that starts with it can answer at once."""
    heavy = ("jax", "numpy", "flax", "diffrax", "equinox", "matplotlib", "transformers", "tokenizers", "gguf")
    assert python(f"import sys, llmworld_jax; print([name for name in {heavy} if name in sys.modules])") == "[]"


def test_every_name_is_there_and_starts_no_device():
    code = "from llmworld_jax import *; import sys; print('matplotlib' in sys.modules, 'diffrax' in sys.modules)"
    assert python(code) == "False False"


def test_the_three_lists_of_names_agree():
    """What a type checker sees, what is imported on demand, and what ``*`` gives."""
    import llmworld_jax as lw

    tree = ast.parse(Path(lw.__file__).read_text())
    seen = {node.module: tuple(alias.name for alias in node.names) for node in ast.walk(tree) if is_ours(node)}
    assert seen == lw._NAMES
    names = [name for group in lw._NAMES.values() for name in group]
    assert sorted([*names, "__version__"]) == sorted(lw.__all__)
    assert len(set(names)) == len(names)


def is_ours(node: ast.AST) -> bool:
    return isinstance(node, ast.ImportFrom) and node.level == 1


def test_a_name_is_the_thing_of_its_module_however_often_it_is_asked_for():
    """A name that a submodule has too would turn into that module as soon as it is imported."""
    import llmworld_jax as lw

    for module, names in lw._NAMES.items():
        home = importlib.import_module(f"llmworld_jax.{module}")
        assert [name for name in names if getattr(lw, name) is not getattr(home, name)] == []
    assert all(getattr(lw, name).__doc__ for name in lw.__all__ if callable(getattr(lw, name)))


def test_an_unknown_name_is_an_attribute_error():
    import llmworld_jax as lw

    with pytest.raises(AttributeError, match="no attribute 'number_law'"):
        _ = lw.number_law
    assert set(dir(lw)) >= set(lw.__all__)


def test_jit_of_vmap_over_series_is_a_loop(world):
    import llmworld_jax as lw

    model, codec, codes = world
    prompts = [lw.with_forecast(codec.prompt(row)) for row in codes]

    def read(model, tokens):
        laws = lw.number_laws(model, codec, prompts[0]._replace(tokens=tokens))
        return laws.log_mass, laws.off_grid

    together = jax.jit(jax.vmap(read, in_axes=(None, 0)))(model, jnp.stack([p.tokens for p in prompts]))
    for k, prompt in enumerate(prompts):
        alone = lw.number_laws(model, codec, prompt)
        np.testing.assert_allclose(together[0][k], alone.log_mass, atol=2e-5)
        np.testing.assert_allclose(together[1][k], alone.off_grid, atol=2e-6)
    assert np.abs(together[0][0, 1:] - together[0][1, 1:]).max() > 1e-3, "the two series are told apart"


def test_vmap_over_models_is_a_loop(world, tiny_llama):
    import llmworld_jax as lw

    model, codec, codes = world
    models = [model, tiny_llama(seed=5, vocab_size=model.config.vocab_size)]
    prompt = codec.prompt(codes[0])
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *models)
    together = jax.vmap(lambda model: lw.number_laws(model, codec, prompt).log_mass)(stacked)
    for row, one in zip(together, models, strict=True):
        np.testing.assert_allclose(row, lw.number_laws(one, codec, prompt).log_mass, atol=2e-5)


def test_gradient_of_a_surprise_sees_the_past_and_only_the_past(world):
    import llmworld_jax as lw

    model, codec, codes = world
    prompt = codec.prompt(codes[0])
    now = prompt._replace(item_at=prompt.item_at[4:5])

    def surprise(embeddings):
        laws = lw.number_laws(model, codec, now, embeddings=embeddings, remat=True)
        return -laws.log_mass[0, int(codes[0, 4])]

    embeddings = lw.embed(model, jnp.asarray(prompt.tokens))
    value, slope = jax.jit(jax.value_and_grad(surprise))(embeddings)
    complete = lw.number_laws(model, codec, prompt)
    np.testing.assert_allclose(value, -complete.log_mass[4, codes[0, 4]], rtol=1e-5)
    size = np.linalg.norm(slope, axis=1)
    assert (size[: prompt.item_at[4]] > 0).all()
    assert (size[prompt.item_at[4] :] == 0).all()


def test_the_law_is_made_of_the_public_forward_passes(world):
    """``forward``, ``tree_forward`` and ``logits`` by hand: the same law of the last item."""
    import llmworld_jax as lw

    model, codec, codes = world
    tokens = jnp.asarray(codec.prompt(codes[0]).tokens)
    read = lw.forward(model, tokens)
    first, second = (jnp.asarray(level) for level in codec.levels)
    here = jnp.full(10, len(tokens), jnp.int32)
    alone = jnp.arange(10, dtype=jnp.int32)[:, None]
    branches = lw.Branches(first, here, here, alone, jnp.ones((10, 1), bool))
    below = lw.logits(model, lw.tree_forward(model, read.cache, branches), second)
    root = jax.nn.log_softmax(lw.logits(model, read.hidden[-1], first))
    by_hand = (root[:, None] + jax.nn.log_softmax(below)).reshape(-1)
    forecast = lw.number_laws(model, codec, lw.with_forecast(codec.prompt(codes[0]))).log_mass[-1]
    np.testing.assert_allclose(by_hand, forecast, atol=2e-5)
    np.testing.assert_allclose(lw.coarse(forecast, 10), root, atol=2e-5)


@pytest.mark.slow
@pytest.mark.model
def test_the_first_lines_of_the_documentation_run():
    import llmworld_jax as lw

    found = doctest.testmod(lw)
    assert found.attempted >= 10
    assert found.failed == 0
