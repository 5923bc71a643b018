"""Linear and other probes of activations: fits, scores and the controls that they have to beat."""

from .components import ComponentCurve, LatentCurve, explained_variance, pca_curve, pls_curve
from .directions import composition, cosine_matrix, random_directions, read_out_dose
from .geography import great_circle_km, great_circle_km_published, great_circle_r_squared
from .groups import (
    eta_squared,
    group_mean_oracle,
    group_means,
    permuted_centroids,
    remove_group_means,
    replace_by_group_means,
    within_group_correlation,
)
from .mlp import MLPProbe, fit_mlp
from .neurons import TopNeurons, permutation_band, spearman_scan, top_neurons
from .proximity import proximity_error, proximity_error_line
from .ridge import LinearMap, RidgeFit, fit_ridge, predict, relative_penalties
from .scores import calibration_slope, mean_absolute_error, pearson, r_squared, rank, spearman
from .spatial import distance_matrix, distance_matrix_km, mantel_null, morans_i, representational_similarity
from .sums import (
    FoldFit,
    RowSums,
    SumsFit,
    error_from_sums,
    fit_from_sums,
    fold_choice,
    grouped_row_sums,
    holdout_fits,
    path_from_sums,
    row_sums,
)
from .targets import circle_from_degrees, degrees_from_circle, degrees_from_sphere, sphere_from_degrees

__all__ = [
    "ComponentCurve",
    "FoldFit",
    "LatentCurve",
    "LinearMap",
    "MLPProbe",
    "RidgeFit",
    "RowSums",
    "SumsFit",
    "TopNeurons",
    "calibration_slope",
    "circle_from_degrees",
    "composition",
    "cosine_matrix",
    "degrees_from_circle",
    "degrees_from_sphere",
    "distance_matrix",
    "distance_matrix_km",
    "error_from_sums",
    "eta_squared",
    "explained_variance",
    "fit_from_sums",
    "fit_mlp",
    "fit_ridge",
    "fold_choice",
    "great_circle_km",
    "great_circle_km_published",
    "great_circle_r_squared",
    "group_mean_oracle",
    "group_means",
    "grouped_row_sums",
    "holdout_fits",
    "mantel_null",
    "mean_absolute_error",
    "morans_i",
    "path_from_sums",
    "pca_curve",
    "pearson",
    "permutation_band",
    "permuted_centroids",
    "pls_curve",
    "predict",
    "proximity_error",
    "proximity_error_line",
    "r_squared",
    "random_directions",
    "rank",
    "read_out_dose",
    "relative_penalties",
    "remove_group_means",
    "replace_by_group_means",
    "representational_similarity",
    "row_sums",
    "spearman",
    "spearman_scan",
    "sphere_from_degrees",
    "top_neurons",
    "within_group_correlation",
]
