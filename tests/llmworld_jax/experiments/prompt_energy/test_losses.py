"""Each loss is the number that its name says, from what a plain pass of the model gives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from analyses import graphs
from llmworld_jax.experiments.prompt_energy import losses
from llmworld_jax.experiments.prompt_energy.config import OBJECTIVES, EnergyConfig
from llmworld_jax.models.forward import forward
from llmworld_jax.models.readout import embed, logits
from llmworld_jax.optimise.seen import WalkTask, seen_walk
from systems.lattices import grid
from systems.walks import random_walk

CONFIG = EnergyConfig(length=40, window=25)
ADJACENCY = jnp.asarray(grid(2, 3).adjacency, jnp.float32)
IDS = jnp.array([3, 9, 4, 7, 21, 30])
TASK = WalkTask(random_walk(jax.random.key(0), ADJACENCY, 40), IDS, ADJACENCY, jnp.ones(6, bool))


@pytest.fixture(scope="module")
def model(tiny_llama):
    return tiny_llama()


@pytest.fixture(scope="module")
def plain(model):
    tokens = jnp.concatenate((jnp.array([11, 12]), IDS[TASK.nodes]))
    read = forward(model, tokens, taps=("resid_post",))
    law = np.asarray(jax.nn.softmax(logits(model, read.hidden)))[2:]
    return np.asarray(read.taps["resid_post"])[:, 2:], law


def value(model, objective):
    target = losses.target_of(objective, CONFIG, 1, (17,))
    return float(target.loss(seen_walk(model, embed(model, jnp.array([11, 12])), 2, TASK, target.reader), TASK))


def test_accuracy_is_of_all_legal_words(model, plain):
    nodes = np.asarray(TASK.nodes)
    legal = [plain[1][t][np.asarray(IDS)[np.asarray(ADJACENCY)[nodes[t]] > 0]].sum() for t in range(15, 40)]
    assert value(model, "accuracy") == pytest.approx(-np.log(legal).mean(), rel=1e-4)


def test_likelihood_is_of_the_word_that_came(model, plain):
    ids = np.asarray(IDS[TASK.nodes])
    assert value(model, "likelihood") == pytest.approx(
        -np.mean([np.log(plain[1][t][ids[t + 1]]) for t in range(15, 39)]), rel=1e-4
    )


def test_energy_is_the_ratio_of_means_of_sized_tokens(model, plain):
    rows = plain[0][0, 15:]
    sized = rows / np.sqrt((rows**2).mean(axis=1, keepdims=True))
    nodes = np.asarray(TASK.nodes)[15:]
    means = np.stack([sized[nodes == k].mean(axis=0) for k in range(6)])
    wanted = float(graphs.dirichlet_ratio(jnp.asarray(means), ADJACENCY))
    assert value(model, "energy") == pytest.approx(wanted, rel=1e-4)
    assert value(model, "wrong") == pytest.approx(wanted, rel=1e-4)  # the task brings the other graph


def test_probe_is_of_words_behind_the_filler(model):
    before = jnp.concatenate((jnp.array([11, 12]), IDS[TASK.nodes], jnp.array([17])))
    rows = []
    for word in IDS:
        read = forward(model, jnp.append(before, word), taps=("resid_post",), blocks=1)
        rows.append(np.asarray(read.taps["resid_post"])[0, -1])
    sized = np.stack(rows) / np.sqrt((np.stack(rows) ** 2).mean(axis=1, keepdims=True))
    wanted = float(graphs.dirichlet_ratio(jnp.asarray(sized), ADJACENCY))
    assert value(model, "probe") == pytest.approx(wanted, rel=1e-4)


def test_contrast_is_zero_on_average_for_vectors_without_the_graph():
    keys = jax.random.split(jax.random.key(5), 200)

    def one(key):
        rows = jax.random.normal(key, (6, 12))
        own = graphs.dirichlet_ratio(rows, ADJACENCY)
        return own - graphs.dirichlet_ratio(rows, losses.relabelled(jax.random.fold_in(key, 1), TASK))

    found = jax.vmap(one)(keys)
    assert abs(float(found.mean())) < 4 * float(found.std()) / 200**0.5


def test_relabelled_keeps_spectrum_and_leaves_what_fills_up_in_place():
    padded = jnp.zeros((9, 9)).at[:6, :6].set(ADJACENCY)
    task = TASK._replace(adjacency=padded, real=jnp.arange(9) < 6)
    changed = 0
    for k in range(5):
        mixed = np.asarray(losses.relabelled(jax.random.key(k), task))
        assert not mixed[6:].any()
        assert not mixed[:, 6:].any()
        np.testing.assert_allclose(np.linalg.eigvalsh(mixed), np.linalg.eigvalsh(np.asarray(padded)), atol=1e-5)
        changed += not np.array_equal(mixed, padded)
    assert changed >= 4


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_only_what_a_loss_needs_is_read(objective):
    target = losses.target_of(objective, CONFIG, 1, (17,))
    needs_laws = objective in ("accuracy", "likelihood")
    assert target.reader.laws == needs_laws
    assert (target.reader.blocks is None) == needs_laws
    assert bool(target.reader.filler) == (objective == "probe")
    assert target.relabelled == (objective == "wrong")
