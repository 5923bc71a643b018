"""Pictures of an optimisation: losses, geometry against behaviour, courses, and the map before and after."""

from typing import Any

import numpy as np

from analyses import graphs

from ..figure_style import FLOOR, MODEL, RC, TRUTH, WIDTH, legend_outside, panel_title, png, pyplot
from .prompts import LISTED, NONE, START
from .results import Results
from .table import EARLY, MEASURES, between, grouped, new_words

COLORS = {
    "accuracy": TRUTH, "energy": MODEL, "likelihood": "#e07b00", "wrong": "#7d5ba6", "contrast": "#00997a",
    "probe": "#5a9e3f",
}  # fmt: skip
OTHERS = {START: ("#111111", "s"), NONE: ("#808080", "D"), LISTED: ("#9c6b30", "^")}
AXES = {
    "accuracy": "−ln p(legal word), nats", "likelihood": "−ln p(next word), nats", "energy": "R",
    "wrong": "R, relabelled", "contrast": "R − mean R relabelled", "probe": "R behind filler",
}  # fmt: skip
SMOOTH = 10


def color_of(name: str) -> str:
    """Colour of a prompt by the objective that its name begins with; others are grey."""
    return COLORS.get(name.split(",")[0], OTHERS.get(name, (FLOOR, "o"))[0])


def loss_figure(results: Results) -> bytes:
    """Loss of every step on that step's own fresh walks, one panel an objective."""
    plt = pyplot()
    count = len(results.trials)
    columns = min(3, count)
    rows = -(-count // columns)
    with plt.rc_context(RC):
        figure, axes = plt.subplots(
            rows, columns, figsize=(WIDTH, 2.3 * rows + 0.3), layout="constrained", squeeze=False
        )
        for axis in list(axes.flat)[count:]:
            axis.remove()
        for axis, trial in zip(axes.flat, results.trials):
            loss = trial.trained.loss
            steps = np.arange(1, loss.shape[1] + 1)
            axis.plot(steps, loss.T, color=color_of(trial.objective), lw=0.5, alpha=0.3)
            mean = np.asarray(graphs.moving_average(loss.mean(axis=0), min(SMOOTH, loss.shape[1])))
            axis.plot(steps, mean, color=color_of(trial.objective), lw=2)
            axis.set(xlabel="step", ylabel=AXES[trial.objective])
            panel_title(axis, f"Trained on {trial.objective}")
        return png(figure)


def dissociation_figure(results: Results) -> bytes:
    """Every prompt as a point: R against the probability of a legal word, on each test set."""
    plt = pyplot()
    tests = results.worlds.tests
    columns = min(2, len(tests))
    rows = -(-len(tests) // columns)
    with plt.rc_context(RC):
        figure, axes = plt.subplots(
            rows, columns, figsize=(WIDTH, 2.6 * rows + 0.5), layout="constrained", squeeze=False
        )
        for axis in list(axes.flat)[len(tests) :]:
            axis.remove()
        for axis, test in zip(axes.flat, tests):
            for name, group in grouped(results).items():
                x = [MEASURES["R"](scores[test.name], results.layer) for scores in group]
                y = [MEASURES["legal word, 50–100"](scores[test.name], results.layer) for scores in group]
                marker = OTHERS.get(name, ("", "o" if name.split(",")[0] in COLORS else "x"))[1]
                axis.scatter(x, y, s=26, color=color_of(name), marker=marker, label=name, alpha=0.85, lw=1, zorder=3)
            axis.axvline(1, color="0.8", lw=0.8, zorder=0)
            axis.set(xlabel=f"energy ratio R, layer {results.layer}", ylabel="p(legal word), 50–100")
            axis.set_ylim(0, None)
            panel_title(axis, test.name)
        legend_outside(figure, axes.flat[: len(tests)])
        return png(figure)


def accuracy_figure(results: Results) -> bytes:
    """Probability of a legal word against context, and R against context, on words that were not trained on."""
    plt = pyplot()
    test = new_words(results)
    with plt.rc_context(RC):
        figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.1), layout="constrained")
        for name, group in grouped(results).items():
            curves = np.stack([scores[test].accuracy for scores in group])
            width = min(15, curves.shape[1])
            mean = np.asarray(graphs.moving_average(curves.mean(axis=0), width))
            dashes = "-" if name.split(",")[0] in COLORS else (0, (3, 1.5))
            axes[0].plot(np.arange(1, len(mean) + 1), mean, color=color_of(name), ls=dashes, lw=1.5, label=name)
            ratio = np.stack([scores[test].ratio[:, -1] for scores in group])
            axes[1].plot(ratio.mean(axis=0), color=color_of(name), ls=dashes, lw=1.5)
            if len(group) > 1:
                axes[1].fill_between(
                    range(ratio.shape[1]), ratio.min(axis=0), ratio.max(axis=0), color=color_of(name), alpha=0.13, lw=0
                )
        axes[0].set(xlabel="words read", ylabel="p(legal word)", xscale="log", xlim=(10, None), ylim=(0, None))
        axes[1].axvline(results.layer, color="0.1", lw=0.8, ls=":")
        axes[1].axhline(1, color="0.8", lw=0.8)
        axes[1].set(xlabel="layer (0: embedding)", ylabel="energy ratio R")
        panel_title(axes[0], "What it says", test)
        panel_title(axes[1], "What it looks like", "dotted: the layer that is trained")
        legend_outside(figure, axes)
        return png(figure)


def map_figure(results: Results) -> bytes:
    """First principal plane of the node means before and after, at the layer that is trained."""
    plt = pyplot()
    test = next(t for t in results.worlds.tests if t.name == new_words(results))
    chosen = [START, *(t.objective for t in results.trials)]
    shown = [(name, group[0][test.name]) for name, group in grouped(results).items() if name.split(",")[0] in chosen]
    columns = min(4, len(shown))
    rows = -(-len(shown) // columns)
    with plt.rc_context(RC):
        figure, axes = plt.subplots(
            rows, columns, figsize=(WIDTH, rows * (WIDTH / columns + 0.75)), layout="constrained", squeeze=False
        )
        for axis in list(axes.flat)[len(shown) :]:
            axis.remove()
        for axis, (name, scores) in zip(axes.flat, shown):
            _draw(axis, scores.planes[results.layer], test.graph.edges, test.words, color_of(name))
            legal = between(scores.accuracy, EARLY)
            notes = (f"R {scores.ratio[results.layer, -1]:.2f}", f"p(legal word) {legal:.2f}")
            panel_title(axis, "before" if name == START else name, *notes)
        return png(figure)


def _draw(axis: Any, points: np.ndarray, edges: Any, words: tuple[str, ...], color: str) -> None:
    points = points - np.nanmean(points, axis=0)
    for i, j in edges:
        axis.plot(*points[[i, j]].T, color="#c9ced4", lw=1.1, zorder=1)
    axis.scatter(*points.T, s=14, color=color, lw=0, zorder=2)
    for point, word in zip(points, words) if len(words) <= 20 else ():
        if np.isfinite(point).all():
            axis.annotate(word, point, (0, 3), textcoords="offset points", ha="center", fontsize=5.5, color="#111111")
    reach = 1.18 * float(np.nanmax(np.abs(points))) or 1.0
    axis.set(xlim=(-reach, reach), ylim=(-reach, reach), xticks=(), yticks=(), xlabel="PC 1", ylabel="PC 2")
    axis.set_aspect("equal")
