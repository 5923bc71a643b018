"""How results are put into words: scores with their spread, targets with their units, and which row says what."""

import numpy as np

from ...entities.table import EntityTable
from ..figure_style import title
from .results import Control, DatasetResults, Scores

#: Which control a row is, by words of its name; the first that fits.
_KINDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "twin": (("twin",), ("untrained",), ("random weights",)),
    "task": (("control task",), ("centroid",)),
    "shuffled": (("shuffle",),),
    "mean embedding": (("mean", "embedding"),),
    "embedding": (("embedding",),),
    "ngrams": (("n-gram",), ("ngram",)),
    "tokens": (("bag",), ("token",)),
    "mlp": (("mlp",), ("nonlinear",)),
}
_CAPITALS = ("us", "nyc")
_MISSING = "–"


def kind_of(control: Control) -> str:
    """ "model", "twin", "task", "shuffled", "mean embedding", "embedding", "ngrams", "tokens", "mlp" or its role."""
    if control.role == "model":
        return "model"
    name = control.name.lower()
    fits = (kind for kind, choices in _KINDS.items() if any(all(word in name for word in c) for c in choices))
    return next(fits, control.role)


def row_of(r: DatasetResults, kind: str) -> Control | None:
    """The first control of a kind, computed or not."""
    return next((control for control in r.controls if kind_of(control) == kind), None)


def computed(control: Control | None) -> bool:
    """Whether a control has scores."""
    return control is not None and not control.missing and bool(np.isfinite(control.scores.r2).any())


def model_of(r: DatasetResults) -> Scores:
    """Scores of the model's own activations, at the layer that each fold chose on its training rows."""
    control = row_of(r, "model")
    if control is None:
        raise ValueError(f"Got controls {[c.name for c in r.controls]}. Expected one with role 'model'. Add it.")
    return control.scores


def mean_sd(values: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation over folds (NaN for fewer than two)."""
    known = values[np.isfinite(values)]
    if not known.size:
        return float("nan"), float("nan")
    return float(known.mean()), float(known.std(ddof=1)) if known.size > 1 else float("nan")


def number(value: float, digits: int = 2) -> str:
    """``−0.12``, ``2,982``; a dash where it is not known."""
    if not np.isfinite(value):
        return _MISSING
    text = f"{value:,.{digits}f}"
    return ("" if float(text.replace(",", "")) == 0 else "−" if value < 0 else "") + text.lstrip("-")


def spread(values: np.ndarray, digits: int = 2) -> str:
    """``0.50 ± 0.02``: mean and standard deviation over folds."""
    mean, sd = mean_sd(values)
    digits = digits if abs(mean) < 10 else 0
    return number(mean, digits) + (f" ± {number(sd, digits)}" if np.isfinite(sd) else "")


def unit_of_error(table: EntityTable) -> str:
    """Unit of the median error: kilometres for places, else the target's own."""
    return "km" if table.kind == "place" else table.units[0]


def error_text(values: np.ndarray, table: EntityTable) -> str:
    """The median error with its unit, mean over folds."""
    mean, _ = mean_sd(values)
    unit = unit_of_error(table)
    return f"{number(mean, 0 if mean >= 10 else 1)} {unit}".rstrip()


def target_label(table: EntityTable, k: int) -> str:
    """``longitude (°E)``, ``death year (years, negative = BC)``, ``population (people)``."""
    name = table.target_names[k].replace("_", " ")
    if table.kind == "place":
        return f"{name} (°{'E' if table.target_names[k] == 'longitude' else 'N'})"
    unit = table.units[k]
    if table.kind == "time" and (table.targets[:, k] < 0).any():
        unit = f"{unit}, negative = BC" if unit else "negative = BC"
    return f"{name} ({unit})" if unit else name


def dataset_title(r: DatasetResults) -> str:
    """``world_cities`` -> ``World cities``, ``us_cities`` -> ``US cities``."""
    first, *rest = title(r.table.key).split(" ")
    return " ".join((first.upper() if first.lower() in _CAPITALS else first, *rest))


def layers_text(layers: np.ndarray) -> str:
    """``layer 27`` or ``layers 24–30``."""
    low, high = int(layers.min()), int(layers.max())
    return f"layer {low}" if low == high else f"layers {low}–{high}"


def typical_layer(r: DatasetResults) -> int:
    """The layer that most folds chose; of several the earliest."""
    return int(np.bincount(r.sweep.chosen).argmax())


def tested(r: DatasetResults) -> np.ndarray:
    """``[entity]``: whether there is an out-of-sample prediction."""
    return np.isfinite(r.sweep.final).all(axis=1)


def score_line(r: DatasetResults) -> str:
    """The small print of a picture: R², ρ and the median error of the model's held-out predictions."""
    s = model_of(r)
    return f"R² {spread(s.r2)}    ρ {spread(s.rho)}    median error {error_text(s.error, r.table)}"


def listed(names: list[str]) -> str:
    """``a, b and c``."""
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1] if names else "none"
