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
# # One system, from samples to a scaling law
#
# The noisy logistic map, x' = r y (1 − y) with y = x + σ ε. We draw series whose law is known, let a language model
# read their digits, and ask in turn: do the samples obey the law? Does the model's law come closer to it the more it
# has read? Closer than what merely counts, copies or fits? How far from the best that digits allow? Does it mean what
# it says? And is the fall of the loss a power law?

# %%
import os
import tempfile

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Image

import llmworld_jax as lw
from llmworld_jax.experiments.calibration_figures import calibration_figure
from llmworld_jax.experiments.dynamics import compare
from llmworld_jax.experiments.dynamics_config import DynamicsConfig
from llmworld_jax.experiments.figure_style import MODEL, RC
from llmworld_jax.experiments.law_figures import law_figure
from llmworld_jax.experiments.learning_figures import learning_figure
from llmworld_jax.experiments.many_laws import read_many
from llmworld_jax.experiments.scaling_figures import scaling_figure
from llmworld_jax.experiments.simulation import simulate
from llmworld_jax.experiments.sparse_nulls import read_sparse
from llmworld_jax.experiments.state_figures import sigma_figure
from llmworld_jax.store import RunStore

SMOKE = os.environ.get("SMOKE") == "1"  # everything small, to see that it runs
plt.rcParams |= RC
NAME = "noisy_logistic_map"
loaded = lw.load()
config = DynamicsConfig(system=(NAME,), steps=60 if SMOKE else 400, seeds=2 if SMOKE else 3, sparse_nulls=not SMOKE)

# %% [markdown]
# ## The samples and their law
#
# One compiled call draws all series. The probability integral transform u = F(x' | x) of every value is uniform if and
# only if the samples obey the stated law.

# %%
world = simulate(config, NAME, loaded)
with jax.enable_x64(True):
    law = jax.jit(jax.vmap(lambda system, s, x: jax.vmap(system.transition_cdf)(s, x)))
    states, following = (jnp.asarray(a) for a in (world.paths.states[:, :-1], world.paths.observed[:, 1:]))
    u = np.asarray(law(world.batch, states, following))

figure, (left, right) = plt.subplots(1, 2, figsize=(7, 2.6), layout="constrained")
left.plot(world.paths.observed[0, :-1], world.paths.observed[0, 1:], ".", color=MODEL, ms=3)
left.set(xlabel="value", ylabel="next value", title="The map and its noise")
right.hist(u.ravel(), bins=10, range=(0, 1), density=True, color=MODEL, alpha=0.75)
right.axhline(1, color="k", lw=0.9, ls=":")
right.set(xlabel="u = F(next value | value)", ylabel="density", title="Uniform, as it should be")
plt.show()

# %% [markdown]
# ## What the model reads
#
# Values are rescaled and written with two digits. That is all the model sees, and it costs: even one who knows the
# system loses the *resolution floor* to the law given the value itself.

# %%
one = world.series[0]
print(one.codec.text(one.codes[:16]), "...")

# %% [markdown]
# ## Its law of every next value
#
# One pass over each series and one digit tree on its cache: the complete law of 100 bins at every item.

# %%
store = RunStore.open(tempfile.mkdtemp(), {"notebook": "one system"})
laws = read_many(world.series, loaded, store, print, batch=config.batch)
(sparse,) = read_sparse(config, (world,), loaded, store, print)
result = compare(config, world, laws, sparse)
Image(law_figure(result))

# %% [markdown]
# ## Closer, the more it has read?
#
# The loss is the Bhattacharyya distance to the true law. Dashed are the nulls, which read the same digits; black is the
# ideal observer, who knows the kind of system and infers its parameters from the same digits.

# %%
print(result.verdict.text)
(page, *_) = learning_figure((result,))
Image(page)

# %% [markdown]
# ## Does it know where the noise is?
#
# The spread of the true law is σ r |1 − 2x|: almost nothing in the middle, most at the ends.

# %%
Image(sigma_figure(result))

# %% [markdown]
# ## Does it mean what it says?
#
# If its laws are calibrated, values fall into their central intervals as often as promised.

# %%
c = result.calibration
print("coverage", {f"{level:.0%}": f"{share:.0%}" for level, share in zip(c.levels, c.coverage, strict=True)})
print(f"best temperatures: {c.digit_temperature:.2f} (digits), {c.mass_temperature:.2f} (numbers)")
Image(calibration_figure(result))

# %% [markdown]
# ## Is it a power law?
#
# Three estimators of one exponent. They agree where the loss is a power law over its whole range; where it levels out,
# the log–log slope is flatter than the early fall that the published fit sees, and a plateau takes the rest.

# %%
f = result.fits
for name, e in (("published", f.published), ("log–log", f.log_log), ("power + plateau", f.plateau)):
    print(f"{name:16s} {e.value:+.2f}  [{e.low:+.2f}, {e.high:+.2f}]")
print("predicts left-out series best:", f.best)
(page, *_) = scaling_figure((result,))
Image(page)

# %% [markdown]
# Intervals are over series, and wide with so few: raise `seeds` for narrower ones.
