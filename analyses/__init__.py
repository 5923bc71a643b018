"""Comparing arrays: distances between laws, their floors, power laws of a loss, null predictors, ideal observers.

Pure functions of arrays, unbatched (``vmap`` them), that know neither systems nor language models.
"""

from .calibration import (
    EventReliability,
    PitHistogram,
    Sharpness,
    Uniformity,
    conditional_pit,
    coverage,
    event_reliability,
    log_e_value,
    pit_histogram,
    randomised_pit,
    reliability,
    sharpness,
    uniformity,
)
from .cell_filter import CellPosterior, averaged_cdf, cell_filter
from .conjugate import NormalInverseGamma, regression_predictive, running_regression
from .crps import brier_score, crps, crps_binned, ranked_probability_score
from .decays import Decay, fit_decay
from .deviations import absolute_deviation, squared_deviation
from .dirichlet import dirichlet_predictive
from .divergences import bhattacharyya_distance, gaussian_bhattacharyya, hellinger, kl_divergence, total_variation
from .effective_samples import effective_samples
from .ensembles import RolloutScores, energy_score, ensemble_crps, rollout_scores
from .geometric_bins import GeometricBins, geometric_bins
from .histograms import BinMasses, bin_masses, coarsen, gaussian_log_masses, point_mass
from .inpca import (
    InPCA,
    bhattacharyya_matrix,
    hellinger_geodesic,
    hellinger_squared_matrix,
    inpca,
    project,
    running_mean,
    trajectory_band,
)
from .kernel_conditional import kernel_conditional
from .kernel_density import (
    KernelFit,
    counts_before,
    counts_density,
    fit_kernel,
    kernel_density,
    running_kernel_density,
    silverman,
    silverman_bandwidth,
)
from .likelihood import negative_log_likelihood
from .linear_observers import (
    geometric_walk_predictive,
    linear_predictive,
    proportional_walk_predictive,
    random_walk_predictive,
)
from .log_space import log_sum_exp, safe_log, safe_sqrt
from .mixed_resolution import MixedGrid, group_log_mass, group_mass, mixed_grid
from .model_comparison import ModelComparison, ModelFits, compare_models, fit_models
from .moments import Moments, moments
from .neural import neural_autoregression
from .nulls import autoregression, bigram, unigram
from .parroting import parroting
from .plateau import PlateauLaw, fit_plateau_law, plateau_law
from .polynomial import polynomial_autoregression
from .pushforward import pushforward_masses, uniform_cdf
from .quantiles import quantile
from .resampling import Band, bootstrap, bootstrap_band, centre_and_resamples, quantile_band, resampled_interval
from .resolution import bhattacharyya_floor, cell_average, deviation_floor
from .risk import (
    EmpiricalRows,
    counting_risk,
    counting_risk_limit,
    counting_rows,
    empirical_rows,
    markov_risk,
    mixing_time,
    spectral_gap,
    stationary_law,
    transition_counts,
)
from .scaling import PowerLaw, binned_log_log_slope, fit_power_law, log_log_slope, power_law
from .smoothing import moving_average, window_centres
from .state_dependence import (
    BinnedStatistic,
    Line,
    Proportion,
    SpreadSlope,
    binned_statistic,
    proportion,
    spearman,
    spread_slope,
    straight_line,
    theil_sen,
    vee_fit,
)
from .student import mean_interval
from .student_masses import student_log_masses
from .temperature import BestTemperature, best_temperature, density_temperature, digit_temperature, mass_temperature
from .uniform_interval import uniform_interval_predictive

__all__ = [
    "Band",
    "BestTemperature",
    "BinMasses",
    "BinnedStatistic",
    "CellPosterior",
    "Decay",
    "EmpiricalRows",
    "EventReliability",
    "GeometricBins",
    "InPCA",
    "KernelFit",
    "Line",
    "MixedGrid",
    "ModelComparison",
    "ModelFits",
    "Moments",
    "NormalInverseGamma",
    "PitHistogram",
    "PlateauLaw",
    "PowerLaw",
    "Proportion",
    "RolloutScores",
    "Sharpness",
    "SpreadSlope",
    "Uniformity",
    "absolute_deviation",
    "autoregression",
    "averaged_cdf",
    "best_temperature",
    "bhattacharyya_distance",
    "bhattacharyya_floor",
    "bhattacharyya_matrix",
    "bigram",
    "bin_masses",
    "binned_log_log_slope",
    "binned_statistic",
    "bootstrap",
    "bootstrap_band",
    "brier_score",
    "cell_average",
    "cell_filter",
    "centre_and_resamples",
    "coarsen",
    "compare_models",
    "conditional_pit",
    "counting_risk",
    "counting_risk_limit",
    "counting_rows",
    "counts_before",
    "counts_density",
    "coverage",
    "crps",
    "crps_binned",
    "density_temperature",
    "deviation_floor",
    "digit_temperature",
    "dirichlet_predictive",
    "effective_samples",
    "empirical_rows",
    "energy_score",
    "ensemble_crps",
    "event_reliability",
    "fit_decay",
    "fit_kernel",
    "fit_models",
    "fit_plateau_law",
    "fit_power_law",
    "gaussian_bhattacharyya",
    "gaussian_log_masses",
    "geometric_bins",
    "geometric_walk_predictive",
    "group_log_mass",
    "group_mass",
    "hellinger",
    "hellinger_geodesic",
    "hellinger_squared_matrix",
    "inpca",
    "kernel_conditional",
    "kernel_density",
    "kl_divergence",
    "linear_predictive",
    "log_e_value",
    "log_log_slope",
    "log_sum_exp",
    "markov_risk",
    "mass_temperature",
    "mean_interval",
    "mixed_grid",
    "mixing_time",
    "moments",
    "moving_average",
    "negative_log_likelihood",
    "neural_autoregression",
    "parroting",
    "pit_histogram",
    "plateau_law",
    "point_mass",
    "polynomial_autoregression",
    "power_law",
    "project",
    "proportion",
    "proportional_walk_predictive",
    "pushforward_masses",
    "quantile",
    "quantile_band",
    "random_walk_predictive",
    "randomised_pit",
    "ranked_probability_score",
    "regression_predictive",
    "reliability",
    "resampled_interval",
    "rollout_scores",
    "running_kernel_density",
    "running_mean",
    "running_regression",
    "safe_log",
    "safe_sqrt",
    "sharpness",
    "silverman",
    "silverman_bandwidth",
    "spearman",
    "spectral_gap",
    "spread_slope",
    "squared_deviation",
    "stationary_law",
    "straight_line",
    "student_log_masses",
    "theil_sen",
    "total_variation",
    "trajectory_band",
    "transition_counts",
    "uniform_cdf",
    "uniform_interval_predictive",
    "uniformity",
    "unigram",
    "vee_fit",
    "window_centres",
]
