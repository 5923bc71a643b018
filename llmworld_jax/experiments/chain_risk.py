"""Total-variation risk of a Markov chain's predictors against the counting estimator.

The risk at context length t is the mean of TV(predicted row, true row) over the symbols that occur there. Counting
transitions has risk ∝ t^{-1/2}; a predictor that learns the chain as well as counting does falls as fast.

Source: Zekri et al. 2024, arXiv 2410.02724.
"""

from typing import NamedTuple

import numpy as np

from .figure_style import CONTEXT_LABEL, MODEL, OBSERVER, RC, null_style, panels, plain_ticks, png, pyplot, title
from .learning import Curve, Exponent, learning_curve, log_log_exponent

COUNTING = "bigram"
"""Add-one counting of transitions, the frequentist estimator of the chain."""
EXPECTED = -0.5


class ChainRisk(NamedTuple):
    """Moving averages of the total-variation distance, and the log–log slope of each; ``model`` is the first."""

    curves: dict[str, Curve]
    slopes: dict[str, Exponent]


def chain_risk(distances: dict[str, np.ndarray], window: int) -> ChainRisk:
    """Risk of predictors whose total-variation distances to the true rows are ``[seed, time]``."""
    curves = {name: learning_curve(rows, window) for name, rows in distances.items()}
    return ChainRisk(curves, {name: log_log_exponent(curve) for name, curve in curves.items()})


def risk_figure(name: str, risk: ChainRisk) -> bytes:
    """Risk against context length on logarithmic axes, with the slope -1/2 of counting."""
    with pyplot().rc_context(RC):
        figure, (axis,) = panels(1, height=2.8)
        for predictor, curve in risk.curves.items():
            color = {"model": MODEL, "ideal observer": OBSERVER}.get(predictor) or null_style(predictor).color
            slope = risk.slopes[predictor]
            label = f"{predictor}, slope {slope.value:.2f}"
            lw, under = {"model": (2.0, 2.0), "ideal observer": (2.0, 1.9)}.get(predictor, (1.1, 2.0))
            axis.plot(curve.context, curve.mean, color=color, lw=lw, zorder=under, label=label)
            if predictor == "model" and len(curve.each) > 1:
                axis.fill_between(curve.context, curve.low, curve.high, color=MODEL, alpha=0.2, lw=0)
        counted = risk.curves[COUNTING]
        middle = len(counted.context) // 2
        guide = counted.mean[middle] * (counted.context / counted.context[middle]) ** EXPECTED
        axis.plot(counted.context, guide, color="0.4", lw=0.9, ls=":", label="slope −1/2")
        axis.set(xscale="log", yscale="log", xlabel=CONTEXT_LABEL, ylabel="total variation to the true row")
        axis.set_title(title(name))
        axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
        plain_ticks(axis.xaxis, axis.yaxis)
        return png(figure)
