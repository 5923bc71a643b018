# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Gradients through the mind
#
# If a map in the activations made the behaviour, pushing the map would move it. **(a)** What is the least energy, with
# no model at all? **(b)** A soft prompt against the energy ratio R, and one against the probability of legal words:
# same walks, same steps. **(c)** Which of the two does what? **(d)** A steering vector of rank two. **(e)** A gradient
# through a *simulation*: which parameter of a map would surprise the model least? `llmworld energy` does the first
# three with every control; here each step is open.

# %%
import functools
import os

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import llmworld_jax as lw
from analyses import graphs
from llmworld_jax.experiments.figure_style import MODEL, RC, TRUTH
from llmworld_jax.optimise import descent, number_series, seen, soft_prompt, steering
from llmworld_jax.words import POOL
from systems import parse_graph
from systems.walks import random_walk

SMOKE = os.environ.get("SMOKE") == "1"  # everything small, to see that it runs
plt.rcParams |= RC
loaded = lw.load()
model, layers = loaded.model, loaded.config.num_layers
graph = parse_graph("ring:6" if SMOKE else "grid:4x4")
adjacency = jnp.asarray(graph.adjacency)
length, window, steps = (24, 16, 2) if SMOKE else (160, 100, 40)

# %% [markdown]
# ## (a) The theorem: free vectors that descend the energy become the Laplacian's modes
#
# With their singular values held, whatever they began as. With nothing held they collapse: energy by itself is gamed.

# %%
found = graphs.descend_energy(jax.random.key(0), adjacency, jnp.array([2.0, 1.5]), 60 if SMOKE else 800)
figure, axes = plt.subplots(1, 2, figsize=(7, 2.8), layout="constrained")
axes[0].plot(found.energy, color=MODEL)
axes[0].axhline(float(graphs.minimal_energy(adjacency, jnp.array([2.0, 1.5]))), color=TRUTH, ls="--")
axes[0].set(xscale="log", xlabel="step", ylabel="Dirichlet energy (dashed: least)", ylim=(0, None))
for i, j in graph.edges:
    axes[1].plot(*np.asarray(found.rows)[[i, j]].T, color="0.8", zorder=0)
axes[1].scatter(*np.asarray(found.rows).T, color=MODEL, s=14)
axes[1].set(aspect="equal", xticks=(), yticks=(), title="where they end")
figure

# %% [markdown]
# ## (b) One interface: a loss is a function of what the model made of a walk
#
# `seen_walk` reads one walk behind a prompt. Everything is traced, so `vmap` goes over prompts, their lengths, walks
# and graphs; energies stop the pass at their layer. Each step draws new words, a new placement and a new walk.

# %%
pool = jnp.asarray(lw.word_ids(loaded.tokenizer, POOL[16:46]))
at = max(1, round(0.8 * layers))
short = seen.Reader(window, blocks=at, laws=False, remat=True)
whole = seen.Reader(window, remat=True)


def task_of(key):
    words, steps = jax.random.split(key)
    ids = jax.random.permutation(words, pool)[: graph.num_nodes]
    nodes = random_walk(steps, adjacency, length)
    return seen.WalkTask(nodes, ids, adjacency, jnp.ones(graph.num_nodes, bool))


def energy(read, task):
    means = read.activations
    return graphs.dirichlet_ratio(means.means[-1, 0], task.adjacency, means.seen[-1, 0])


def legal(read, task):
    edges = task.adjacency[task.nodes[-read.hidden.shape[0] :]] > 0
    return -jnp.mean(jax.nn.logsumexp(jnp.where(edges, read.laws.log_probability, -jnp.inf), axis=1))


allowed = soft_prompt.norm_range(model)
start = soft_prompt.prompt_of_tokens(model, np.array(loaded.tokenizer.encode("Continue the sequence.")), 7)
optimiser = descent.adam(5e-3)


@functools.partial(jax.jit, static_argnames=("loss", "reader"))
def step(model, state, loss, reader):  # the model as an argument: closed over, its weights would be constants
    def value(vectors, key):
        task = task_of(key)
        return loss(seen.seen_walk(model, vectors, 7, task, reader), task)

    return descent.descend(state, value, optimiser, lambda vectors: soft_prompt.within_range(vectors, allowed))


prompts, curves = {"before": start}, {}
for name, loss, reader in (("energy", energy, short), ("legal words", legal, whole)):
    state, curve = descent.begin(start, optimiser, jax.random.key(0)), []
    for _ in range(steps):
        made = step(model, state, loss, reader)
        state = made.state
        curve.append(float(made.loss))
    prompts[name], curves[name] = state.parameters, curve
figure, axes = plt.subplots(1, 2, figsize=(7, 2.4), layout="constrained")
for axis, (name, curve), label in zip(axes, curves.items(), ("R", "−ln p(legal word)")):
    axis.plot(curve, color=MODEL)
    axis.set(xlabel="step", ylabel=label, title=f"trained on {name}")
figure

# %% [markdown]
# ## (c) Both prompts on the same new walks
#
# If low energy made good predictions, the prompt with the lower R would say legal words more often.

# %%
tests = jax.vmap(task_of)(jax.random.split(jax.random.key(99), 2 if SMOKE else 6))


@jax.jit
def tested(model, vectors):
    def one(task):
        read = seen.seen_walk(model, vectors, 7, task, whole)
        means = read.activations
        ratio = graphs.dirichlet_ratio(means.means[at, 0], task.adjacency, means.seen[at, 0])
        return ratio, jnp.exp(-legal(read, task))

    return jax.lax.map(one, tests)


for name, vectors in prompts.items():
    ratio, said = tested(model, vectors)
    near = soft_prompt.nearest_tokens(model, vectors)
    text = loaded.tokenizer.decode([int(token) for token in near.tokens])
    print(f"{name:12s} R {float(ratio.mean()):.2f}   p(legal) {float(said.mean()):.3f}   nearest tokens {text!r}")

# %% [markdown]
# ## (d) Steering: coordinates of another graph put into the words
#
# A rank-two offset after one block. The dose is its length in units of the stream's; random directions of the same
# length are the control.

# %%
shuffled = np.random.default_rng(0).permutation(graph.num_nodes)
target = adjacency[shuffled][:, shuffled]
coordinates = graphs.spectral_embedding(target, 2)
directions = jax.random.normal(jax.random.key(3), (2, loaded.config.d_model))


@jax.jit
def steered(model, directions, dose):
    def one(task):
        edit = steering.steer(task, directions, coordinates, layer=at // 2, dose=dose, norm=30.0, length=7, rows=7)
        read = seen.seen_walk(model, start, 7, task, whole, (edit,))
        law = jax.nn.softmax(read.laws.log_probability, axis=1)
        now = task.nodes[-law.shape[0] :]
        return jnp.mean(jnp.sum(law * (target * (1 - adjacency))[now], axis=1))

    return jnp.mean(jax.lax.map(one, tests))


for dose in (0.0, 0.3):
    print(f"dose {dose}: p(edges of the other graph) {float(steered(model, directions, dose)):.3f}")
slope = jax.grad(steered, argnums=1)(model, directions, 0.1)
print("its gradient in the directions:", slope.shape, f"length {float(jnp.linalg.norm(slope)):.2e}")

# %% [markdown]
# ## (e) Through the simulation
#
# Digits are discrete, so they are relaxed: each value is spread over neighbouring bins, and the model reads the mean
# embedding of every digit. Then the surprise of the last value is differentiable in the map's own parameter.

# %%
codec = lw.number_codec(loaded.tokenizer, lw.Numerals(precision=2, low=0.0, high=1.0))
count = 8 if SMOKE else 24


def series(rate):
    return jax.lax.scan(lambda x, _: (rate * x * (1 - x), x), jnp.float32(0.31), None, length=count)[1]


prompt = codec.prompt(codec.numerals.encode(np.asarray(series(jnp.float32(3.5)), np.float64)))
no_prompt = jnp.zeros((1, loaded.config.d_model))


@jax.jit
def surprise(rate, model):
    values = series(rate)
    relaxed = number_series.relaxed_series(model, codec, values, 1.0)
    laws = number_series.laws_behind(model, codec, no_prompt, 0, relaxed, jnp.asarray(prompt.item_at[-1:]))
    weight = number_series.relaxed_digits(codec, values[-1:], 1.0)
    came = (weight[0][0][:, None] * weight[1][0][None]).reshape(-1)
    return -jnp.sum(came * laws.log_mass[0])


for rate in (3.2, 3.5, 3.8):
    value, slope = jax.value_and_grad(surprise)(jnp.float32(rate), model)
    print(f"r = {rate}: surprise {float(value):.2f} nats, d/dr {float(slope):+.2f}")
figure
