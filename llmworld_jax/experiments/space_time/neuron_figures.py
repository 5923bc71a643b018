"""Single neurons: the one whose activation follows the target best, among all that might by chance."""

from typing import Any

import numpy as np

from ..figure_style import FLOOR, MODEL, OBSERVER, RC, TRUTH, WIDTH, legend_outside, panel_title, png, pyplot
from .describing import mean_sd, number, target_label
from .palette import color_of_each, colored_groups, dot_alpha, dot_size, name_groups
from .results import DatasetResults, Neurons

BINS = 60


def neurons_of(r: DatasetResults) -> Neurons:
    """The neurons of a run. Raises ValueError where it did not look for any."""
    if r.neurons is None:
        raise ValueError(f"Got no neurons of {r.table.key}. Expected a run that looked for some. Draw no neurons.")
    return r.neurons


def column_values(r: DatasetResults, name: str) -> tuple[np.ndarray, str]:
    """What a column of ``Neurons.names`` was correlated with ``[entity]``, and its label with the unit."""
    plain = name.strip("|")
    k = r.table.target_names.index(plain)
    values, label = r.table.targets[:, k], target_label(r.table, k)
    return (np.abs(values), label.replace(plain, name, 1)) if plain != name else (values, label)


def neuron_figure(r: DatasetResults) -> bytes:
    """For each column the best neuron's activation against the target, and |ρ| of all neurons with the chance band."""
    n, groups = neurons_of(r), colored_groups(r)
    plt = pyplot()
    with plt.rc_context(RC):
        figure, axes = plt.subplots(
            len(n.names), 2, figsize=(WIDTH, 2.35 * len(n.names) + 0.7), layout="constrained", squeeze=False,
            width_ratios=(1.6, 1),
        )  # fmt: skip
        colored = r.table.kind == "place"
        for k in range(len(n.names)):
            _scatter(axes[k, 0], r, k, color_of_each(groups) if colored else MODEL)
            _histogram(axes[k, 1], n, k, last=k == len(n.names) - 1)
        if colored:
            name_groups(axes[0, 0], groups)
        legend_outside(figure, axes.flat)
        return png(figure)


def _scatter(axis: Any, r: DatasetResults, k: int, colors: Any) -> None:
    n = neurons_of(r)
    values, label = column_values(r, n.names[k])
    block, neuron = (int(x) for x in n.top[k, 0])
    count = len(values)
    axis.scatter(
        n.top_activation[k], values, s=dot_size(count), c=colors, alpha=dot_alpha(count), lw=0, rasterized=True
    )
    axis.set(xlabel="activation at the last token", ylabel=label)
    rho, other = float(n.rho[block, neuron, k]), mean_sd(n.validated[:, k])[0]
    panel_title(
        axis, f"Block {block}, neuron {neuron}",
        f"ρ {number(rho)} over all; |ρ| {number(other)} on rows that did not choose it",
    )  # fmt: skip


def _histogram(axis: Any, n: Neurons, k: int, *, last: bool) -> None:
    size = np.abs(n.rho[..., k])
    size = size[np.isfinite(size)]
    best = float(size.max())
    edges = np.linspace(0, max(best, float(n.band[k])) * 1.05, BINS + 1)
    count = np.histogram(size, edges)[0]
    axis.stairs(count, edges, fill=True, color=FLOOR, alpha=0.6, label="all neurons")
    axis.axvline(n.band[k], color=OBSERVER, lw=1.2, ls=(0, (3, 2)), label="best by chance, 95 %")
    axis.plot([best], [1], "v", ms=6, color=TRUTH, clip_on=False, ls="", label="best neuron")
    axis.set(yscale="log", ylim=(0.7, None), ylabel="neurons")
    if last:
        axis.set_xlabel("|ρ| with the target")
    panel_title(axis, f"All {size.size:,} neurons", f"{int((size > n.band[k]).sum()):,} beyond the chance band")
