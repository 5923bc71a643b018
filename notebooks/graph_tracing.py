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
# # Does a graph appear?
#
# Words are the nodes of a graph, dealt out at random; the model reads a walk and nothing else. **(a)** Do the words'
# vectors move until neighbours are near? **(b)** Does it say legal words, more than a counter would, and edges that
# were never walked? **(c)** How much of the picture is only the word before? **(d)** A gradient: which words of the
# walk does the energy rest on? `llmworld graph` does (a) to (c), and more, in one command; here every step is open.

# %%
import os

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import llmworld_jax as lw
from analyses import graphs
from llmworld_jax.experiments.figure_style import MODEL, RC, TRUTH
from llmworld_jax.words import GRID_WORDS
from systems import parse_graph
from systems.walks import random_walk

SMOKE = os.environ.get("SMOKE") == "1"  # everything small, to see that it runs
plt.rcParams |= RC
loaded = lw.load()
graph = parse_graph("ring:10")
adjacency = jnp.asarray(graph.adjacency)
print(graph.name, graph.num_nodes, "nodes,", graph.num_edges, "edges; bipartite:", graph.bipartite)

# %% [markdown]
# ## (a) Node means at every layer and context, in one pass over each walk
#
# Token ids are concatenated, never re-tokenised, and the place of each word is known. The sums over windows are taken
# inside the loop over layers: what comes back is `[layer, context, node, width]`, whatever the length of the walk.

# %%
walks, length = (2, 120) if SMOKE else (8, 800)
contexts = (30, 60, 120) if SMOKE else (25, 50, 100, 200, 400, 800)
keys = jax.random.split(jax.random.key(0), walks)
nodes = np.asarray(jax.vmap(lambda key: random_walk(key, adjacency, length))(keys))
words = lw.placed_words(0, graph.num_nodes, GRID_WORDS)
ids = lw.word_ids(loaded.tokenizer, words)
prompts = lw.graph_prompts(loaded.tokenizer, words, nodes)  # the words are listed once before the walk
read = lw.read_walks(loaded.model, prompts, nodes, ids, contexts)
means = jnp.asarray(read.sums / np.maximum(read.counts, 1)[..., None])
seen = jnp.asarray(read.counts > 0)
print(" ".join(words[n] for n in nodes[0, :10]), "…", means.shape)

# %% [markdown]
# The Dirichlet ratio R: mean squared distance over edges by that over all pairs, on whole vectors. Words dealt out at
# random have R = 1 in expectation, exactly; its null band comes from relabelled nodes.

# %%
distances = jax.vmap(jax.vmap(graphs.squared_distances))(means)
null = graphs.ratio_null(jax.random.key(1), distances, adjacency, seen, 200)
layer = 1 + int(jnp.nanargmin(null.value[1:, -1]))
figure, axis = plt.subplots(figsize=(7, 2.8))
for at in (layer // 3, 2 * layer // 3, layer):
    axis.plot(contexts, null.value[at], "o-", ms=3, label=f"layer {at}", alpha=0.4 + 0.6 * at / layer, color=MODEL)
band = 1.96 * null.sd[layer]
axis.fill_between(contexts, 1 - band, 1 + band, color="0.8", lw=0, label=f"relabelled, layer {layer}")
axis.set(xscale="log", xlabel="context length (words read)", ylabel="energy ratio R")
axis.legend()
print(f"R {null.value[layer, -1]:.2f}, z {null.z[layer, -1]:.1f}")
figure

# %%
components = graphs.principal_components(means[layer, -1], 2, seen[layer, -1])
points = np.asarray(graphs.procrustes(components.scores, jnp.asarray(graph.layout), seen[layer, -1]).aligned)
figure, axis = plt.subplots(figsize=(3.6, 3.6))
for i, j in graph.edges:
    axis.plot(*points[[i, j]].T, color="0.8", zorder=0)
axis.scatter(*points.T, color=MODEL, s=14)
for point, word in zip(points, words):
    axis.annotate(word, point, (0, 4), textcoords="offset points", ha="center", fontsize=8)
axis.set(aspect="equal", xticks=(), yticks=(), xlabel="PC 1", ylabel="PC 2, turned onto the layout")
figure

# %% [markdown]
# ## (b) What it says next, beside counters
#
# A counter of transitions knows nothing of a ring. Edges that were never walked tell inference from copying; they are
# compared with nodes without an edge at the same moments.

# %%
probability, legal = jnp.exp(jnp.asarray(read.log_probability)), adjacency[jnp.asarray(nodes)]
said = jnp.sum(probability * legal, axis=-1) / jnp.sum(probability, axis=-1)
counted = jax.vmap(lambda walk: graphs.bigram_laws(walk, graph.num_nodes, smoothing=1.0))(jnp.asarray(nodes))
figure, axis = plt.subplots(figsize=(7, 2.8))
smooth = max(3, length // 25)
axis.plot(graphs.moving_average(said.mean(axis=0), smooth), color=MODEL, label="model, among the nodes' words")
axis.plot(graphs.moving_average(jnp.sum(counted * legal, axis=-1).mean(axis=0), smooth), color=TRUTH, label="counter")
axis.axhline(float(graphs.chance(adjacency)), color="0.6", ls=":", label="chance")
axis.set(xscale="log", xlim=(5, length), xlabel="context length (words read)", ylabel="probability of a legal word")
axis.legend()
figure

# %%
split = jax.vmap(graphs.exposure_split, in_axes=(0, 0, None))(probability, jnp.asarray(nodes), adjacency)
for name, value, count in (
    ("edge walked before", split.seen_edge, split.seen_edges),
    ("edge never walked", split.unseen_edge, split.unseen_edges),
    ("no edge, same moments", split.non_neighbour_then, split.non_neighbours_then),
):
    late = (slice(None), slice(25, None))
    print(f"{name:22s} {float(graphs.pooled(value[late], count[late])):.3f} a node, {int(count[late].sum())} cases")

# %% [markdown]
# ## (c) The null of the sceptic
#
# Random vectors, mixed once with their neighbours: the ring is there without any model.

# %%
mixed = graphs.neighbour_mixing(jax.random.key(2), adjacency, 576)
print(f"R of mixed random vectors {float(graphs.dirichlet_ratio(mixed, adjacency)):.2f}")
print(f"R of the model's means    {float(null.value[layer, -1]):.2f}")

# %% [markdown]
# ## (d) A gradient through the representations
#
# R is differentiable in the embeddings of the walk. How much would each word, moved a little, change it?

# %%
short = prompts._replace(tokens=prompts.tokens[:, : prompts.item_at[59] + 1])
end = jnp.asarray(contexts[:1] if SMOKE else (60,))


def energy(embeddings, model):  # the model as an argument: closed over, its weights would be constants of the program
    sums = lw.node_sums(
        model, embeddings, jnp.asarray(nodes[0, :60]), jnp.asarray(prompts.item_at[:60]), end,
        num_nodes=graph.num_nodes, remat=True,
    )  # fmt: skip
    found = lw.node_means(sums)
    return graphs.dirichlet_ratio(found.means[layer, 0], adjacency, found.seen[layer, 0])


slope = jax.jit(jax.grad(energy))(lw.embed(loaded.model, jnp.asarray(short.tokens[0])), loaded.model)
size = np.linalg.norm(slope, axis=1)
before = int(prompts.item_at[0])
figure, axis = plt.subplots(figsize=(7, 2.2))
axis.bar(np.arange(len(size)), size, color=np.where(np.arange(len(size)) < before, "0.7", MODEL))
axis.set(xlabel="token (grey: the list of words before the walk)", ylabel="|∂R / ∂ embedding|")
figure
