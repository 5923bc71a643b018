"""The Dirichlet ratio over layers and contexts, beside its null and the controls."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from analyses import graphs

from ..figure_style import FLOOR, MODEL, RC, WIDTH, legend_outside, panel_title, png, pyplot
from .looks import LAYER, color_of, contexts_axis, dashes_of
from .results import Geometry, GraphResults

BAND = 1.96


def energy_figure(r: GraphResults) -> bytes:
    """Left: R of the walks at every layer and context. Right: R against context at the layer that is looked at."""
    plt = pyplot()
    with plt.rc_context(RC):
        figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.5), layout="constrained", width_ratios=(1, 1.15))
        _heat(figure, axes[0], r)
        _curves(axes[1], r)
        legend_outside(figure, axes[1:])
        return png(figure)


def _heat(figure: Any, axis: Any, r: GraphResults) -> None:
    ratio = r.geometry[r.study.main].ratio
    reach = max(0.05, float(np.nanmax(np.abs(ratio - 1))))
    image = axis.imshow(ratio, aspect="auto", origin="lower", cmap="RdBu", vmin=1 - reach, vmax=1 + reach)
    axis.set_xticks(range(len(r.study.contexts)), [str(c) for c in r.study.contexts], rotation=60, fontsize=7)
    axis.set(ylabel=LAYER, xlabel="context length (words read)")
    axis.axhline(r.layer, color="0.1", lw=0.8, ls=":")
    panel_title(axis, "Energy ratio R", "red: neighbours are near", "dotted: layer on the right")
    figure.colorbar(image, ax=axis, shrink=0.9)


def _curves(axis: Any, r: GraphResults) -> None:
    contexts = np.array(r.study.contexts)
    main = r.geometry[r.study.main]
    sd = main.null_sd[r.layer]
    axis.fill_between(
        contexts, 1 - BAND * sd, 1 + BAND * sd, color=FLOOR, alpha=0.18, lw=0, label="nodes relabelled, 95 %"
    )
    for kind, g in r.geometry.items():
        axis.plot(contexts, g.ratio[r.layer], color=color_of(kind), ls=dashes_of(kind), lw=1.7, label=kind)
        axis.fill_between(contexts, g.ratio_low[r.layer], g.ratio_high[r.layer], color=color_of(kind), alpha=0.13, lw=0)
    axis.plot(contexts, main.plane_ratio[r.layer], color=MODEL, lw=1.1, ls=(0, (1, 1)), label="in its first plane")
    axis.set_ylabel("energy ratio R")
    contexts_axis(axis)
    panel_title(axis, f"Layer {r.layer}", "band of a curve:", "95 % of walks drawn anew")


def layers_figure(r: GraphResults) -> bytes:
    """Measures of shape at every layer, at the last context, walks beside controls."""
    wanted = (
        ("ratio", "energy ratio R", 1.0),
        ("auc", "edge AUC", 0.5),
        ("alignment", "alignment of the first plane", None),
        ("spearman", "ρ with path length", 0.0),
        ("plane_ratio", "R in the first plane", 1.0),
        ("dependence", "distance correlation", None),
    )
    plt = pyplot()
    with plt.rc_context(RC):
        figure, axes = plt.subplots(2, 3, figsize=(WIDTH, 4.4), layout="constrained", sharex=True)
        for axis, (name, label, chance) in zip(axes.flat, wanted):
            for kind, g in r.geometry.items():
                axis.plot(getattr(g, name)[:, -1], color=color_of(kind), ls=dashes_of(kind), lw=1.5, label=kind)
            if chance is not None:
                axis.axhline(chance, color="0.7", lw=0.8, zorder=0.5, label="chance")
            panel_title(axis, label)
        for axis in axes[1]:
            axis.set_xlabel(LAYER)
        legend_outside(figure, axes.flat)
        return png(figure)


def spectrum_figure(r: GraphResults) -> bytes:
    """Share of the variance of the node means in every group of equal Laplacian eigenvalues."""
    values = np.asarray(graphs.laplacian_modes(jnp.asarray(r.study.graph.adjacency)).values)[1:]
    group = np.concatenate(([0], np.cumsum(np.diff(values) > 1e-3)))
    kinds = list(r.geometry)
    plt = pyplot()
    with plt.rc_context(RC):
        figure, axis = plt.subplots(figsize=(WIDTH, 2.7), layout="constrained")
        at = np.arange(group.max() + 1)
        size = np.bincount(group)
        for k, kind in enumerate(kinds):
            power = _last_power(r.geometry[kind], r.layer)
            share = np.bincount(group, power[1:] if len(power) == len(values) + 1 else power) / size
            axis.bar(
                at + (k - (len(kinds) - 1) / 2) * 0.8 / len(kinds),
                share,
                0.8 / len(kinds),
                color=color_of(kind),
                label=kind,
            )
        axis.axhline(1 / len(values), color="0.5", lw=0.8, ls=":", label="even")
        axis.set_xticks(at, [f"{values[group == k][0]:.2f}" + (f" ×{size[k]}" if size[k] > 1 else "") for k in at])
        axis.tick_params(axis="x", rotation=45 if len(at) > 9 else 0)
        axis.set(xlabel="Laplacian eigenvalue (× how many modes share it): smooth on the left", ylabel="share a mode")
        panel_title(axis, f"Graph Fourier spectrum, layer {r.layer}, {r.study.contexts[-1]:,} words")
        legend_outside(figure, (axis,))
        return png(figure)


def _last_power(g: Geometry, layer: int) -> np.ndarray:
    return np.nan_to_num(g.power[layer, -1])
