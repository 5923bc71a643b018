"""The table of a whole space-and-time run: one row a dataset, the model beside what it must beat."""

import numpy as np

from ...report import Table
from ..summary import markdown
from .describing import computed, dataset_title, mean_sd, model_of, number, row_of, spread
from .results import DatasetResults

__all__ = ["COLUMNS", "markdown", "summary_table"]

COLUMNS = (
    *("dataset (n)", "model R² (ρ, PE)", "untrained twin R²", "embedding layer R²", "mean input embedding R²"),
    *("n-grams R²", "selectivity", "r within groups", "verdict"),
)
CAPTION = (
    "Test rows, mean ± standard deviation over folds, the layer chosen on training rows. ρ: Spearman. PE: proximity "
    "error (0 perfect, ½ chance). Untrained twin: the same network and tokens with random weights. Embedding layer: "
    "the last token before any block. Mean input embedding: of all tokens of the name. N-grams: ridge regression on "
    "the letters of the name. Selectivity: R² minus that of a control task in which whole groups are dealt out at "
    "random. r within groups: correlation of truth and prediction after the mean of each group is taken out. – was not "
    "computed. Verdict: in full with each dataset."
)


def summary_table(results: tuple[DatasetResults, ...]) -> Table:
    """One row a dataset."""
    return Table(COLUMNS, tuple(_row(r) for r in results), CAPTION)


def _row(r: DatasetResults) -> tuple[str, ...]:
    s, task = model_of(r), row_of(r, "task")
    return (
        f"{dataset_title(r)} ({int((r.fold >= 0).sum()):,})",
        f"{spread(s.r2)} ({number(mean_sd(s.rho)[0])}, {number(mean_sd(s.proximity)[0])})",
        *(_r2(r, kind) for kind in ("twin", "embedding", "mean embedding", "ngrams")),
        number(mean_sd(s.r2)[0] - mean_sd(task.scores.r2)[0]) if task is not None and computed(task) else "–",
        " / ".join(number(float(x)) for x in np.atleast_1d(r.within)),
        r.verdict.split(":")[0],
    )


def _r2(r: DatasetResults, kind: str) -> str:
    control = row_of(r, kind)
    return spread(control.scores.r2) if control is not None and computed(control) else "–"
