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
# # The law of the next number
#
# A language model reads a series written out in digits. From its next-token probabilities we get the exact law of
# every next value. Here: **(a)** from a CSV to the law, **(b)** a forecast of many steps, **(c)** a gradient through
# the law, to see which past digits it rests on. The story of one system, from samples to a scaling law, is in
# `one_system.py`.

# %%
import os
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import analyses
import llmworld_jax as lw
from llmworld_jax.experiments.dynamics import target_of
from llmworld_jax.experiments.dynamics_config import DynamicsConfig
from llmworld_jax.experiments.figure_style import MODEL, RC, TRUTH
from llmworld_jax.experiments.null_panel import null_laws
from llmworld_jax.experiments.series import read_series
from llmworld_jax.experiments.simulation import simulate

SMOKE = os.environ.get("SMOKE") == "1"  # everything small, to see that it runs
plt.rcParams |= RC
loaded = lw.load()
loaded.provenance["id"], loaded.config.max_positions

# %% [markdown]
# ## (a) From a CSV to the law
#
# Simulated measurements: the angle of a damped pendulum, ten times a second, with a reading error of 0.5°.

# %%
time = 0.1 * np.arange(40 if SMOKE else 160)
noise = np.random.default_rng(0).normal(0, 0.5, time.size)
angle = 25 * np.exp(-time / 12) * np.cos(2 * np.pi * time / 2.4) + noise
path = Path(tempfile.mkdtemp()) / "pendulum.csv"
np.savetxt(path, np.c_[time, angle], fmt="%.2f", delimiter=",", header="time_s,angle_deg", comments="")
print(path.read_text()[:48])

# %% [markdown]
# The first period alone sets the range of the numerals: the grid must not know the future.

# %%
values, _ = read_series(path, "angle_deg")
numerals = lw.rescaled(values, precision=2, warmup=24)
codec = lw.number_codec(loaded.tokenizer, numerals)
codes = numerals.encode(values)
print(f"{numerals.num_bins} bins of {numerals.bin_width:.2f}° on [{numerals.low:.1f}°, {numerals.high:.1f}°)")
print("the model reads", codec.text(codes[:12]), "...")

# %%
prompt = lw.with_forecast(codec.prompt(codes))
laws = lw.number_laws(loaded.model, codec, prompt)
edges, levels = jnp.asarray(numerals.edges(), jnp.float32), jnp.array([0.05, 0.25, 0.5, 0.75, 0.95])
each_level = jax.vmap(analyses.quantile, in_axes=(None, None, 0))
quantiles = np.asarray(jax.vmap(each_level, in_axes=(0, None, None))(laws.log_mass, edges, levels))
laws.log_mass.shape, quantiles.shape

# %%
figure, axis = plt.subplots(figsize=(7, 3), layout="constrained")
at = np.append(time, time[-1] + 0.1)
for low, high, alpha in ((0, 4, 0.18), (1, 3, 0.3)):
    share = f"{levels[high] - levels[low]:.0%} of the law".replace("%", " %")
    axis.fill_between(at, *quantiles[:, [low, high]].T, step="mid", color=MODEL, alpha=alpha, lw=0, label=share)
axis.plot(time, values, "o", ms=2.6, color=TRUTH, label="measured")
next_low, next_median, next_high = quantiles[-1, [0, 2, 4]]
reach = [[next_median - next_low], [next_high - next_median]]
axis.errorbar(at[-1], next_median, reach, fmt="ks", ms=4, capsize=2, label="next, 90 %")
axis.set(xlabel="time (s)", ylabel="angle (degrees)", title="Each value and its law before it came", ylim=(-48, 36))
axis.legend(ncols=4, loc="lower right")
plt.show()

# %% [markdown]
# No truth is needed to score a forecast: the surprise −ln p of what came, beside that of predictors that only count or
# fit, reading the same digits, and of the uniform law.

# %%
nulls = {name: law[1:] for name, law in null_laws(codes, numerals, symbolic=False).items()}
candidates = {"model": np.asarray(laws.log_mass)[1:-1], **nulls, "uniform": np.full((1, 100), -np.log(100))}
for name, law in candidates.items():
    surprise = -np.take_along_axis(np.broadcast_to(law, (len(codes) - 1, 100)), codes[1:, None], axis=1)
    print(f"{name:10s} {surprise.mean():.2f} nats")
inside = (values[1:] >= quantiles[1:-1, 0]) & (values[1:] <= quantiles[1:-1, 4])
print(f"inside the 90 % band: {inside.mean():.0%}; mass off the grid: {np.nanmedian(laws.off_grid):.1%} (median)")

# %% [markdown]
# In full size this model, of 135 million parameters, is level with the straight line on so smooth a motion, and its
# bands are too wide: more than 90 % of the values fall inside.

# %% [markdown]
# ## (b) Many steps ahead
#
# A rollout chooses a number from its complete law, appends it, and goes on; every path shares the one reading of the
# past. Sampled paths give bands, `how="mean"` and `how="mode"` a single line.

# %%
horizon, paths = (4, 3) if SMOKE else (24, 16)
past = codec.prompt(codes)
sampled = lw.rollout(loaded.model, codec, past, horizon, how="sample", key=jax.random.key(0), paths=paths)
line = lw.rollout(loaded.model, codec, past, horizon, how="mean")
ahead = time[-1] + 0.1 * (1 + np.arange(horizon))
drawn = numerals.decode(np.asarray(sampled.codes))

figure, axis = plt.subplots(figsize=(7, 3), layout="constrained")
axis.plot(time[-60:], values[-60:], "o", ms=2.6, color=TRUTH, label="measured")
axis.plot(ahead, drawn.T, color=MODEL, lw=0.6, alpha=0.5)
axis.plot(ahead, numerals.decode(np.asarray(line.codes)[0]), color=MODEL, lw=1.8, label="mean rollout")
axis.plot(ahead, 25 * np.exp(-ahead / 12) * np.cos(2 * np.pi * ahead / 2.4), "k:", lw=1, label="the pendulum")
axis.set(xlabel="time (s)", ylabel="angle (degrees)", title=f"{paths} sampled paths and the mean rollout")
axis.legend(loc="upper left")
plt.show()

# %% [markdown]
# ## (c) What the law rests on
#
# The law is differentiable in whatever goes in. The gradient of one distance to the truth with respect to the input
# embeddings says how much each past token counts. The system is the noisy logistic map: its true law depends on the
# last value alone, but the model has to find the map in the whole past.

# %%
steps = 60 if SMOKE else 300
config = DynamicsConfig(system=("noisy_logistic_map",), steps=steps, seeds=1)
world = simulate(config, "noisy_logistic_map", loaded)
codec, codes = world.series[0].codec, world.series[0].codes
items = steps - 1
past = codec.prompt(codes[:items])
now = lw.Prompt(past.tokens, np.array([len(past.tokens)], np.int32))  # the law of the next value only
truth = jnp.asarray(target_of(config, world)[0].mass[0, items], jnp.float32)


def distance(embeddings):
    law = lw.number_laws(loaded.model, codec, now, embeddings=embeddings, off_grid="first", remat=True)
    return analyses.bhattacharyya_distance(law.log_mass[0], truth)


value, gradient = jax.value_and_grad(distance)(lw.embed(loaded.model, jnp.asarray(past.tokens)))
weight = np.linalg.norm(gradient, axis=1).reshape(items, -1)  # item, (digit, digit, separator)
print(f"D_B = {value:.3f} nats; the last item has {weight[-1].sum() / weight.sum():.0%} of all weight")

# %% [markdown]
# Marked are the earlier items within 3 bins of the last value. In full size they and what followed them weigh more
# than the others: as if the model looked up what came of such a state before.

# %%
near = np.abs(codes[: items - 1] - codes[items - 1]) <= 3
near[0] = False
after = np.append(False, near[:-1]) & ~near
others = ~near & ~after
others[0] = False  # the first tokens of any text are looked at for want of better
total = weight[:-1].sum(axis=1)
for label, which in (("near the last value", near), ("following these", after), ("others", others)):
    print(f"{label:20s} {which.sum():4d} items, mean weight {total[which].mean():.3f}")

# %%
recent = np.arange(max(1, items - 60), items)
figure, axis = plt.subplots(figsize=(7, 3), layout="constrained")
top = np.zeros(len(recent))
parts = (("first digit", MODEL), ("second digit", "#7fb7cc"), ("separator", "0.75"))
for (label, color), height in zip(parts, weight[recent].T, strict=True):
    axis.bar(recent, height, bottom=top, width=0.8, color=color, label=label)
    top += height
marked = np.flatnonzero(near[recent[:-1]])
axis.plot(recent[marked], top[marked] * 1.05 + 0.02, "v", color=TRUTH, ms=4, label="near the last value")
axis.set(xlabel="item", ylabel="|∂D_B / ∂embedding| (nats)", title="What the next law depends on")
axis.legend(loc="upper left")
plt.show()
