"""Everything that a map found by a probe must be held against, as predictions of the same entities in the same folds.

Each control answers one way in which a score could come about without the model knowing places or dates: by chance
(shuffled targets), because a probe memorises which group is where (control task), from the architecture and the
tokens alone (untrained twin, token embedding, mean input embedding) or from the letters of the name (n-grams). The
group's mean is no control but a ceiling: what one would score who knew the group and nothing inside it.

Sources: Hewitt and Liang 2019, arXiv 1909.03368 (control tasks); Barenholtz 2026, arXiv 2603.04317 (groups).
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from analyses.probes.groups import (
    eta_squared,
    group_mean_oracle,
    permuted_centroids,
    remove_group_means,
    within_group_correlation,
)
from analyses.probes.ridge import fit_ridge, relative_penalties
from analyses.probes.targets import degrees_from_sphere, sphere_from_degrees

from ...errors import InputError
from .results import Control, Scores, Sweep
from .scoring import bootstrap_gain, score
from .study import Study
from .sweep import single

NAN = float("nan")
LEAST_MEMBERS, MOST_GROUPS = 30, 12
# Compiled whole: one operation at a time costs more than all of the work.
_dealt = jax.jit(permuted_centroids, static_argnums=3)
_oracle, _share = (jax.jit(function, static_argnums=2) for function in (group_mean_oracle, eta_squared))
_within = jax.jit(within_group_correlation, static_argnums=3)


class Candidate(NamedTuple):
    """A row of the control table before it is scored.

    ``predicted [entity, target]`` is out of sample, NaN where nothing is tested; None if it was not computed, and then
    ``missing`` says why. ``targets`` in the place of the table's, for a control task.
    """

    name: str
    role: str
    says: str
    predicted: np.ndarray | None
    targets: np.ndarray | None = None
    missing: str = ""


def shuffled_targets(study: Study, seed: int) -> np.ndarray:
    """The targets of other entities, ``[entity, target]``."""
    return study.table.targets[np.random.default_rng((seed, 1)).permutation(len(study.table))]


def task_targets(study: Study, seed: int) -> np.ndarray:
    """Targets of the control task, in which every group stands, whole, where another one is."""
    with jax.enable_x64(True):
        key = jax.random.fold_in(jax.random.key(seed), 2)
        y, codes = jnp.asarray(study.table.targets), jnp.asarray(study.codes)
        return np.asarray(_dealt(key, y, codes, len(study.labels)))


def group_oracle(study: Study) -> np.ndarray:
    """Mean target of each tested entity's group over the training rows of its fold."""
    with jax.enable_x64(True):
        y, codes = jnp.asarray(study.table.targets), jnp.asarray(study.codes)
        said = [np.asarray(_oracle(y, codes, len(study.labels), jnp.asarray(rows))) for rows in study.train()]
    return tested_only(study, said)


def tested_only(study: Study, each: list[np.ndarray]) -> np.ndarray:
    """What every fold says of its own test rows; NaN where no fold tests."""
    final = np.full_like(each[0], np.nan)
    for k, said in enumerate(each):
        final[study.fold == k] = said[study.fold == k]
    return final


def at_chosen_layers(
    rows: np.ndarray, sweep: Sweep, study: Study, penalties: int, targets: np.ndarray | None = None
) -> np.ndarray:
    """Predictions of probes for other ``targets``, at the layer that the model's own probe chose in each fold."""
    each: list = [None] * study.num_folds
    for layer in np.unique(sweep.chosen):
        said = single(rows[layer], study, penalties, targets)
        for k in np.flatnonzero(sweep.chosen == layer):
            each[k] = said
    return tested_only(study, each)


def sphere_predictions(rows: np.ndarray, sweep: Sweep, study: Study, penalties: int) -> np.ndarray:
    """Longitude and latitude from probes for points of the unit sphere, which know no date line."""
    with jax.enable_x64(True):
        points = np.asarray(sphere_from_degrees(jnp.asarray(study.table.targets)))
        said = at_chosen_layers(rows, sweep, study, penalties, points)
        return np.asarray(degrees_from_sphere(jnp.asarray(said)))


def without_groups(rows: np.ndarray, sweep: Sweep, study: Study, penalties: int) -> np.ndarray:
    """Predictions from activations that lost the mean of their group, over the training rows of the fold."""
    each = []
    with jax.enable_x64(True):
        y, codes = jnp.asarray(study.table.targets), jnp.asarray(study.codes)
        ratios = relative_penalties(penalties)
        for layer, train in zip(sweep.chosen, study.train(), strict=True):
            x = jnp.asarray(rows[layer], jnp.float64)
            each.append(np.asarray(_without_groups(x, y, codes, ratios, jnp.asarray(train), len(study.labels))))
    return tested_only(study, each)


@functools.partial(jax.jit, static_argnums=5)
def _without_groups(x, y, codes, ratios, train, num_groups: int) -> jax.Array:
    return fit_ridge(remove_group_means(x, codes, num_groups, train), y, ratios, train).loo_predictions


def of_letters(predictions: Callable[[], np.ndarray]) -> Candidate:
    """The n-gram control, or why it could not be had."""
    name, says = "n-grams of the name", "Ridge regression on the letters of the name: word and character n-grams"
    try:
        return Candidate(name, "control", says, predictions())
    except InputError as error:
        return Candidate(name, "control", says, None, missing=str(error))


def control_rows(study: Study, final: np.ndarray, candidates: tuple[Candidate, ...], seed: int) -> tuple[Control, ...]:
    """The control table: the model first, then every candidate with its scores and the model's gain over it."""
    test = study.test()
    own = score(study.table, final, test)
    rows = [Control("model", "model", "What the activations say", own, NAN, NAN, NAN)]
    nothing = Scores(*(np.full_like(part, np.nan) for part in own))
    for c in candidates:
        if c.predicted is None:
            rows.append(Control(c.name, c.role, c.says, nothing, NAN, NAN, NAN, c.missing))
            continue
        gain = bootstrap_gain(study.table.targets, final, c.predicted, test, other_true=c.targets, seed=seed)
        rows.append(Control(c.name, c.role, c.says, score(study.table, c.predicted, test, c.targets), *gain))
    return tuple(rows)


def within_groups(study: Study, final: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Correlation of truth and prediction inside groups, and the share of variance between groups, ``[target]``."""
    known = np.isfinite(final).all(axis=1)
    with jax.enable_x64(True):
        y, said, codes = jnp.asarray(study.table.targets), jnp.asarray(final), jnp.asarray(study.codes)
        weight, count = jnp.asarray(known), len(study.labels)
        inside = _within(y, said, codes, count, weight)
        return np.asarray(inside), np.asarray(_share(y, codes, count, weight))


def by_group(study: Study, final: np.ndarray) -> tuple[tuple[str, int, Scores], ...]:
    """Scores inside the largest groups of thirty or more tested entities, all folds together."""
    known = np.isfinite(final).all(axis=1)
    members = (study.codes == np.arange(len(study.labels))[:, None]) & known
    count = members.sum(axis=1)
    large = [int(g) for g in np.argsort(-count, kind="stable")[:MOST_GROUPS] if count[g] >= LEAST_MEMBERS]
    if not large:
        return ()
    found = score(study.table, final, members[large])
    each = [Scores(*(part[k : k + 1] for part in found)) for k in range(len(large))]
    return tuple((study.labels[g], int(count[g]), s) for g, s in zip(large, each))


def verdict(controls: tuple[Control, ...]) -> tuple[str, bool]:
    """One line on whether the model is ahead of every control, and whether it is.

    Ahead of one means that the 95 % bootstrap interval of the difference in R² lies above 0.
    """
    against = [c for c in controls if c.role == "control"]
    had = [c for c in against if not c.missing]
    missing = [c.name for c in against if c.missing]
    closest = min(had, key=lambda c: c.gain)
    gain = f"{closest.gain:.2f} [{closest.gain_low:.2f}, {closest.gain_high:.2f}]".replace("-", "−")
    weakest = [c for c in had if not c.gain_low > 0]
    if weakest:
        where = "Below" if closest.gain_high < 0 else "No better than"
        return f"{where} {closest.name}: the model's R² minus that of {closest.name} is {gain}.", False
    said = f"by {gain} in R² over {closest.name}, the strongest"
    if missing:
        return f"Beats every control that was computed: {said}; without {', '.join(missing)}.", False
    return f"Beats every control: {said}.", True
