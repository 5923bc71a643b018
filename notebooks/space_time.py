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
# # A map inside a language model?
#
# The model reads names of cities and nothing else. **(a)** A linear probe of its activations says where they are;
# **(b)** what would have said so too; **(c)** whether the map is a map, or a list of countries; **(d)** what happens
# when we push the model along the probe, and which tokens the read-out rests on. `llmworld space-time` does all of
# this, and more, in one command; here every step is open.

# %%
import os

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import llmworld_jax as lw
from analyses import probes
from llmworld_jax.experiments.figure_style import MODEL, RC, TRUTH
from llmworld_jax.models import edits

SMOKE = os.environ.get("SMOKE") == "1"  # everything small, to see that it runs
plt.rcParams |= RC
loaded = lw.load()
table = lw.load_entities("world_cities").sample(200 if SMOKE else 2000, 0)
print(len(table), "cities;", table.source, "·", table.licence)

# %% [markdown]
# ## (a) From activations to places
#
# A newline, then the name; we keep the residual stream after every block at the name's last token.

# %%
prompts = lw.entity_prompts(loaded.tokenizer, table.texts, lw.prompt_kinds(table.key, table.kind)["empty"])
read = lw.collect(loaded.model, prompts.tokens, prompts.last, sites=("resid_post",))["resid_post"]
places = table.targets  # longitude and latitude in degrees
test = np.random.default_rng(0).permutation(len(table)) < len(table) // 5
read.shape, places.shape

# %% [markdown]
# Ridge regression; the penalty has the least leave-one-out error, which one eigendecomposition gives exactly for all
# penalties. One compiled program serves all layers.

# %%
ratios = probes.relative_penalties(25)
at_layer = jax.jit(lambda x, y: probes.fit_ridge(x, y, ratios, ~test))
fits = [at_layer(jnp.asarray(x), jnp.asarray(places, jnp.float32)) for x in read]
r2 = np.stack([probes.r_squared(places, fit.loo_predictions, test.astype(float)) for fit in fits])
best = int(np.argmin([fit.loo_error.min() for fit in fits]))  # no test row has a say
predicted = np.asarray(fits[best].loo_predictions)

figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained", width_ratios=(1, 1.7))
axes[0].plot(range(1, len(r2) + 1), r2, label=table.target_names)
axes[0].axvline(best + 1, color="0.6", lw=0.8, ls=":")
axes[0].set(xlabel="block", ylabel="R² on unseen cities", title="Linear probes of every block")
axes[0].legend()
axes[1].plot(*places[test].T, ".", color=TRUTH, ms=3, label="true")
axes[1].plot(*predicted[test].T, ".", color=MODEL, ms=3, label="read from the activations")
axes[1].set(xlabel="longitude (°)", ylabel="latitude (°)", title=f"Unseen cities after block {best + 1}")
axes[1].legend(loc="lower left")
plt.show()

# %% [markdown]
# ## (b) What would have said so too
#
# A probe reads whatever is there: the tokens, or the country that a name's letters give away. So the same probe runs on
# the embeddings of the tokens, on the targets of other cities, and on a control task in which every country stands
# where another one is; and the mean of its country is held against every city.

# %%
codes = jnp.asarray(np.unique(table.groups["country"], return_inverse=True)[1], jnp.int32)
countries = int(codes.max()) + 1
embedding = np.stack([np.asarray(lw.embed(loaded.model, jnp.asarray(t)))[1:].mean(axis=0) for t in prompts.tokens])
elsewhere = np.random.default_rng(1).permutation(places)
dealt = probes.permuted_centroids(jax.random.key(2), jnp.asarray(places, jnp.float32), codes, countries)
train = jnp.asarray(~test)


def score(x, y):
    fit = at_layer(jnp.asarray(x), jnp.asarray(y, jnp.float32))
    return float(probes.r_squared(jnp.asarray(y), fit.loo_predictions, test.astype(float)).mean())


oracle = probes.group_mean_oracle(jnp.asarray(places, jnp.float32), codes, countries, train)
without = probes.remove_group_means(jnp.asarray(read[best]), codes, countries, train)
only = probes.replace_by_group_means(jnp.asarray(read[best]), codes, countries, train)
found = {
    "activations": r2[best].mean(),
    "mean input embedding": score(embedding, places),
    "other cities' places": score(read[best], elsewhere),
    "countries dealt out anew": score(read[best], dealt),
    "activations less their country's mean": score(without, places),
    "their country's mean activation": score(only, places),
    "the country itself": float(probes.r_squared(jnp.asarray(places), oracle, test.astype(float)).mean()),
}
for name, value in found.items():
    print(f"{name:40s} R² {value:6.2f}")

# %% [markdown]
# ## (c) A map, or a list of countries?
#
# Without the means of countries little is left: most of what is read is which country a name belongs to. Are the
# errors at least local? Moran's I asks whether neighbours err alike, and the distances between activations can be held
# against kilometres; permuted cities say what chance gives.

# %%
some = np.flatnonzero(test)
lonlat = jnp.asarray(places[some], jnp.float32)
error = probes.great_circle_km(jnp.asarray(predicted[some]), lonlat)
print(f"median error {np.median(error):,.0f} km; R² on the sphere "
      f"{float(probes.great_circle_r_squared(lonlat, jnp.asarray(predicted[some]))):.2f}")  # fmt: skip
print(f"Moran's I of the error within 500 km: {float(probes.morans_i(error, lonlat, bandwidth_km=500.0)):.2f}")
apart, inside = probes.distance_matrix_km(lonlat), probes.distance_matrix(jnp.asarray(read[best][some]))
alike = float(probes.representational_similarity(inside, apart))
null = probes.mantel_null(jax.random.key(3), inside, apart, 20 if SMOKE else 200)
print(f"activations as far apart as places: ρ = {alike:.3f}, by chance up to {float(null.max()):.3f}")

# %% [markdown]
# The date line is no place where anything changes: a probe for points of the sphere knows none.

# %%
sphere = at_layer(jnp.asarray(read[best]), probes.sphere_from_degrees(jnp.asarray(places, jnp.float32)))
back = probes.degrees_from_sphere(sphere.loo_predictions)[some]
circle = at_layer(jnp.asarray(read[best]), probes.circle_from_degrees(jnp.asarray(places[:, 0], jnp.float32)))
turn = np.asarray(probes.degrees_from_circle(circle.loo_predictions)[some]) - places[some, 0]
for name, off in (
    ("longitude and latitude", probes.great_circle_km(jnp.asarray(predicted[some]), lonlat)),
    ("points of the sphere", probes.great_circle_km(back, lonlat)),
):
    print(f"{name:24s} median error {np.median(off):,.0f} km")
print(f"{'longitude on a circle':24s} median error {np.median(np.abs((turn + 180) % 360 - 180)):.0f}°")

# %% [markdown]
# ## (d) Push, and pull
#
# `read_out_dose` is the shortest vector that moves the probe's read-out by so much. Strengths are traced: the sweep
# compiles once. What counts is whether the push is still there when the last block has read it.

# %%
layer = best // 2  # early enough for later blocks to take part
longitude = at_layer(jnp.asarray(read[layer]), jnp.asarray(places, jnp.float32)).weights[:, 0]
later = fits[best]
tokens = jnp.asarray(prompts.tokens[some[0]])
place = (jnp.arange(len(tokens)) == len(tokens) - 1).astype(jnp.float32)


def read_out(vector, model):  # the model as an argument: closed over, its weights would be constants of the program
    push = edits.add("resid_post", layer, vector, at=place)
    rows = lw.capture(model, tokens, sites=("resid_post",), layers=(best,), edits=(push,))["resid_post"]
    return probes.predict(later, rows[0, -1:])[0, 0]


doses = jnp.linspace(-60, 60, 3 if SMOKE else 9)
sweep = jax.jit(jax.vmap(read_out, in_axes=(0, None)))
dose = probes.read_out_dose(longitude, 1.0)  # one degree
random = probes.random_directions(jax.random.key(4), 5, dose.shape[0], jnp.linalg.norm(dose))
moved = sweep(doses[:, None] * dose, loaded.model)
figure, axis = plt.subplots(figsize=(5.5, 3.2), layout="constrained")
for other in random:
    axis.plot(doses, sweep(doses[:, None] * other, loaded.model), color="0.7", lw=0.8)
axis.plot([], [], color="0.7", label="random directions of the same length")
axis.plot(doses, moved, "o-", color=MODEL, label="along the probe of longitude")
axis.set(xlabel=f"push after block {layer + 1} (°)", ylabel=f"read-out after block {best + 1} (°)",
         title=f"{table.names[some[0]]}, moved east and west")  # fmt: skip
axis.legend()
plt.show()

# %% [markdown]
# The read-out is differentiable in what the model reads: the gradient says which tokens of the name carry it.


# %%
def longitude_of(embeddings):
    rows = lw.capture(loaded.model, embeddings, sites=("resid_post",), layers=(best,))["resid_post"]
    return probes.predict(later, rows[0, -1:])[0, 0]


slope = jax.grad(longitude_of)(lw.embed(loaded.model, tokens))
for token, weight in zip(np.asarray(tokens), np.linalg.norm(slope, axis=1), strict=True):
    print(f"{loaded.tokenizer.decode([int(token)])!r:14s} {weight:10.1f}° per unit of embedding")
