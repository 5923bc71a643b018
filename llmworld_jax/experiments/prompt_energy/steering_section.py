"""Steering in the report: dose and response, with every control of the same length."""

from ...report import Section, Table, Verdict
from ..figure_style import FLOOR, MODEL, RC, TRUTH, WIDTH, legend_outside, panel_title, png, pyplot
from ..report_pictures import Pictures
from .steering_study import MEANS, RANDOM, SHUFFLED, TRAINED, Steering

LOOKS = {
    TRAINED.format("energy"): (MODEL, "-"),
    TRAINED.format("edges"): (TRUTH, "-"),
    MEANS: ("#e07b00", "-"),
    RANDOM: (FLOOR, (0, (3, 1.5))),
    SHUFFLED: ("#7d5ba6", (0, (5, 2))),
}


def steering_section(found: Steering, pictures: Pictures) -> Section:
    """Verdict, picture, table."""
    figure = pictures.figure(
        "steering", steering_figure(found), "Response of predictions and of the energy to the dose, with controls.",
        f"Offsets after block {found.block} at every word of the walk, of rank two; the dose is their length over the "
        f"stream's median length. Energy at layer {found.layer}. Edges that both graphs have count to neither; bands: "
        "95 % over test walks. The target is the walked graph with its nodes relabelled.",
    )  # fmt: skip
    return Section("Steering to another graph", (_verdict(found), figure, _table(found)))


def steering_figure(found: Steering) -> bytes:
    """Three panels over the dose: the target's edges, the walked graph's edges, the target's R."""
    panels = (
        ("p(target's edges)", found.to_target, found.to_target_half),
        ("p(walked edges)", found.to_walked, found.to_walked_half),
        ("R of the target", found.target_ratio, None),
    )
    plt = pyplot()
    with plt.rc_context(RC):
        figure, axes = plt.subplots(1, 3, figsize=(WIDTH, 2.9), layout="constrained")
        for axis, (label, values, half) in zip(axes, panels):
            for k, name in enumerate(found.names):
                color, dashes = LOOKS[name]
                axis.plot(found.doses, values[k], color=color, ls=dashes, lw=1.6, marker="o", ms=3, label=name)
                if half is not None:
                    low, high = values[k] - half[k], values[k] + half[k]
                    axis.fill_between(found.doses, low, high, color=color, alpha=0.12, lw=0)
            axis.set(xlabel="dose (offset / stream)", ylim=(0, 1 if half is not None else None))
            panel_title(axis, label)
        legend_outside(figure, axes)
        return png(figure)


def _verdict(found: Steering) -> Verdict:
    rise = found.to_target - found.to_target[:, :1]
    controls = [found.names.index(name) for name in (RANDOM, SHUFFLED)]
    trained = found.names.index(TRAINED.format("edges"))
    drawn = found.names.index(TRAINED.format("energy"))
    best = int(rise[trained].argmax())
    top = max(rise[k].max() for k in controls)
    text = (
        f"Directions trained for the target's edges raise their probability by {rise[trained, best]:.2f} at a dose of "
        f"{found.doses[best]:g}, the best control by {top:.2f} at any dose; directions trained for the target's energy "
        f"bring its R from {found.target_ratio[drawn, 0]:.2f} to {found.target_ratio[drawn].min():.2f} and raise its "
        f"edges by {rise[drawn].max():.2f}."
    )
    sure = rise[trained, best] - found.to_target_half[trained, best] > top
    return Verdict("good" if sure else "negative", text)


def _table(found: Steering) -> Table:
    rows = []
    for k, name in enumerate(found.names):
        cells = [
            f"{a:.3f} / {b:.3f} / {r:.2f}"
            for a, b, r in zip(found.to_target[k], found.to_walked[k], found.target_ratio[k])
        ]
        rows.append((name, *cells))
    caption = "Probability of the target's edges / of the walked graph's, among the nodes' words / R of the target."
    return Table(("directions", *(f"dose {dose:g}" for dose in found.doses)), tuple(rows), caption)
