"""All figures of the dynamics experiment, from stored results only: where to find which.

A figure is a function of ``SystemResults`` (or of all ``Results``) to PNG bytes; those that need several pages of
panels give a tuple of them. The look they share is in ``figure_style``.
"""

from .animation import law_animation
from .calibration_figures import calibration_figure
from .figure_style import (
    FLOOR,
    LOSS_LABEL,
    MODEL,
    NULLS,
    OBSERVER,
    RC,
    TRUTH,
    WIDTH,
    null_style,
    png,
    pyplot,
    title,
)
from .law_figures import band_figure, law_figure
from .learning_figures import learning_figure, off_grid_figure, regret_figure
from .scaling_figures import scaling_figure
from .state_figures import kurtosis_figure, sigma_figure
from .transition_figures import transition_figure
from .tree_figure import tree_figure

__all__ = [
    "FLOOR",
    "LOSS_LABEL",
    "MODEL",
    "NULLS",
    "OBSERVER",
    "RC",
    "TRUTH",
    "WIDTH",
    "band_figure",
    "calibration_figure",
    "kurtosis_figure",
    "law_animation",
    "law_figure",
    "learning_figure",
    "null_style",
    "off_grid_figure",
    "png",
    "pyplot",
    "regret_figure",
    "scaling_figure",
    "sigma_figure",
    "title",
    "transition_figure",
    "tree_figure",
]
