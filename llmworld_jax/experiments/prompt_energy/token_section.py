"""Searched prompts of real tokens, in the report."""

from ...report import Section, Table, Verdict
from ..figure_style import FLOOR, MODEL, RC, WIDTH, legend_outside, panel_title, png, pyplot
from ..report_pictures import Pictures
from .token_study import BLIND, GUIDED, LATE_AFTER, LATE_BEFORE, WALKS, Found


def token_section(found: tuple[Found, ...], pictures: Pictures) -> Section:
    """Verdict, courses, and what was written."""
    figure = pictures.figure(
        "searches", search_figure(found), "Best loss against what was spent, with and without gradients.",
        f"Loss of the best prompt so far on {WALKS} fixed walks, against forward passes; a gradient counts as three. "
        f"Late prompts stand behind a cached walk of {LATE_BEFORE} words and are scored on {LATE_AFTER} after them.",
    )  # fmt: skip
    rows = []
    for one in found:
        for kind, search, text in zip((GUIDED, BLIND), (one.guided, one.blind), one.texts):
            rows.append((one.objective, kind, float(search.history[0]), search.loss, search.spent, repr(text)))
    columns = ("loss", "search", "at the start", "at the end", "forward passes", "prompt")
    caption = "Only prompts that survive being written down and read again are taken; the loss is of the tokens read."
    return Section("Prompts of real tokens", (_verdict(found), figure, Table(columns, tuple(rows), caption)))


def search_figure(found: tuple[Found, ...]) -> bytes:
    """One panel a loss."""
    plt = pyplot()
    with plt.rc_context(RC):
        figure, axes = plt.subplots(1, len(found), figsize=(WIDTH, 2.6), layout="constrained", squeeze=False)
        for axis, one in zip(axes[0], found):
            for search, name, color in ((one.guided, GUIDED, MODEL), (one.blind, BLIND, FLOOR)):
                spent = [1 + k * (search.spent - 1) / max(search.round, 1) for k in range(len(search.history))]
                axis.step(spent, search.history, where="post", color=color, lw=1.6, label=name)
            axis.set(xlabel="forward passes", ylabel="loss")
            panel_title(axis, one.objective.capitalize())
        legend_outside(figure, axes[0])
        return png(figure)


def _verdict(found: tuple[Found, ...]) -> Verdict:
    better = [one.objective for one in found if one.guided.loss < one.blind.loss]
    told = ", ".join(
        f"{one.objective} from {one.guided.history[0]:.2f} to {one.guided.loss:.2f} by gradient and to "
        f"{one.blind.loss:.2f} at random" for one in found
    )  # fmt: skip
    kind = "good" if len(better) == len(found) else "negative" if not better else "neutral"
    return Verdict(kind, f"At equal cost, one search each: {told}.")  # type: ignore[arg-type]
