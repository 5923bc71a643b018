"""Comparing arrays: distances between laws, their floors, power laws of a loss, null predictors.

Pure functions of arrays, unbatched (``vmap`` them), that know neither systems nor language models.
"""

from .deviations import absolute_deviation, squared_deviation
from .divergences import (
    bhattacharyya_distance,
    gaussian_bhattacharyya,
    hellinger,
    kl_divergence,
    total_variation,
)
from .histograms import BinMasses, bin_masses, coarsen, gaussian_log_masses, point_mass
from .likelihood import negative_log_likelihood
from .log_space import log_sum_exp, safe_log, safe_sqrt
from .mixed_resolution import MixedGrid, group_log_mass, group_mass, mixed_grid, mixed_grid_size
from .moments import Moments, moments
from .nulls import autoregression, bigram, unigram
from .quantiles import quantile
from .resampling import Band, bootstrap, bootstrap_band, quantile_band
from .resolution import bhattacharyya_floor, cell_average, deviation_floor
from .scaling import PowerLaw, fit_power_law, log_log_slope, power_law
from .smoothing import moving_average, window_centres

__all__ = [
    "Band",
    "BinMasses",
    "MixedGrid",
    "Moments",
    "PowerLaw",
    "absolute_deviation",
    "autoregression",
    "bhattacharyya_distance",
    "bhattacharyya_floor",
    "bigram",
    "bin_masses",
    "bootstrap",
    "bootstrap_band",
    "cell_average",
    "coarsen",
    "deviation_floor",
    "fit_power_law",
    "gaussian_bhattacharyya",
    "gaussian_log_masses",
    "group_log_mass",
    "group_mass",
    "hellinger",
    "kl_divergence",
    "log_log_slope",
    "log_sum_exp",
    "mixed_grid",
    "mixed_grid_size",
    "moments",
    "moving_average",
    "negative_log_likelihood",
    "point_mass",
    "power_law",
    "quantile",
    "quantile_band",
    "safe_log",
    "safe_sqrt",
    "squared_deviation",
    "total_variation",
    "unigram",
    "window_centres",
]
