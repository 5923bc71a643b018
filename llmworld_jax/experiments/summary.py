"""The tables of a dynamics run: one row a system."""

import numpy as np

from ..report import Table
from .figure_style import title
from .learning import Exponent
from .results import Results, SystemResults

LOSS = {True: "|Δ mean|", False: "D_B"}
COLUMNS = (
    *("system", "loss", "early", "late [95 %]", "floor", "exponent [90 %]"),
    *("best null, late", "observer, late", "regret, nats", "verdict"),
)
CAPTION = (
    "Early: the mean over twenty items after the fifth; late: over the last fifth of the series, with Student's 95 "
    "% interval over series. D_B is the Bhattacharyya distance to the true law in nats; |Δ mean| the distance of "
    "the means in display units, in which the grid spans 10, where the truth is a point. Floor: the loss of an "
    "observer who knows the system but reads only the written digits. Exponent: the log–log slope of the loss "
    "against context length, with its interval over series. Observer: it knows the class of the system and learns "
    "its parameters from the same digits; regret: the model's late surprise less the observer's, a number. "
    "Verdict: learns = the loss falls and every null is beaten; ties null = falls, no null is better; learns, null "
    "better = falls and beats what ignores the order of the past, but some null is better; does not learn = all "
    "else."
)


def spelled(value: float, low: float = float("nan"), high: float = float("nan"), digits: int = 3) -> str:
    """``0.123 [0.1, 0.15]``; the interval only where there is one."""
    if not np.isfinite(value):
        return "no fit"
    between = f" [{low:.{digits}g}, {high:.{digits}g}]" if np.isfinite(low) and np.isfinite(high) else ""
    return f"{value:.{digits}g}{between}"


def summary_table(results: Results) -> Table:
    """One row a system: losses, floor, exponent, best null, regret to the ideal observer, verdict."""
    return Table(COLUMNS, tuple(_row(r) for r in results), CAPTION)


def _row(r: SystemResults) -> tuple[str, ...]:
    v, exponent = r.verdict, r.fits.log_log
    late = round(0.8 * r.loss.shape[1])
    regret = float(np.mean(r.observer.regret[:, late:]))
    return (
        title(r.name),
        LOSS[r.deterministic],
        f"{v.early:.3g}",
        spelled(v.late, v.late_low, v.late_high),
        f"{v.floor:.2g}",
        spelled(exponent.value, exponent.low, exponent.high, 2),
        f"{v.nulls[v.best_null].null:.3g} ({v.best_null})",
        f"{float(np.mean(r.observer.loss[:, late:])):.2g}",
        f"{regret:.2f}",
        v.label,
    )


def null_table(r: SystemResults) -> Table:
    """Every null of one system: its late loss, and the model's relative to it."""
    rows = tuple(
        (name, f"{c.null:.3g}", spelled(c.ratio, c.low, c.high), c.outcome) for name, c in r.verdict.nulls.items()
    )
    return Table(
        ("null", "late loss", "model / null [95 %]", "null is"),
        rows,
        "Late loss of every null, and the model's late loss relative to it (geometric mean over series, paired; "
        "Student's 95 % interval): below 1 the model is better. Nulls that are read at few context lengths are "
        "compared there.",
    )


def exponent_table(results: Results) -> Table:
    """Exponents by three estimators, with their intervals over series."""

    def cell(e: Exponent) -> str:
        return spelled(e.value, e.low, e.high, 2)

    rows = tuple(
        (
            title(r.name),
            cell(r.fits.published),
            cell(r.fits.log_log),
            cell(r.fits.plateau),
            spelled(r.fits.constant.value, r.fits.constant.low, r.fits.constant.high, 2),
            r.fits.best + ("" if r.fits.simplest == r.fits.best else f" ({r.fits.simplest} as good)"),
        )
        for r in results
    )
    return Table(
        ("system", "published fit", "log–log slope", "power law + plateau", "its plateau", "best form"),
        rows,
        "Exponent α of loss ∝ t^α by three estimators, with 90 % intervals over series. The published fit is least "
        "squares in linear loss and is led by the first tens of items; the log–log slope weighs every stretch of "
        "ln t alike; the third adds the known floor and a free plateau. Best form: which of power law, "
        "exponential, logarithm or constant predicts left-out series best, and the simplest within one standard "
        "error of it. With few series intervals are wide and choices weak.",
    )


def floor_table(results: Results) -> Table:
    """Resolution floors of every system at one to four digits."""
    places = sorted({p for r in results for p in r.floors.precision})

    def cell(r: SystemResults, precision: int) -> str | None:
        if precision not in r.floors.precision:
            return None
        at = r.floors.precision.index(precision)
        return f"{(r.floors.deviation if r.deterministic else r.floors.bhattacharyya)[at]:.2g}"

    rows = tuple((title(r.name), LOSS[r.deterministic], *(cell(r, p) for p in places)) for r in results)
    return Table(
        ("system", "loss", *(f"{p} digit{'s' if p > 1 else ''}" for p in places)),
        rows,
        "What an observer who knows the system still loses to the latent truth, because it reads digits of the "
        "past (late states of the first series). Against the law given the written past this loss is 0 by "
        "definition.",
    )


def markdown(table: Table) -> str:
    """The table as Markdown text."""
    head = f"| {' | '.join(table.columns)} |\n|{'---|' * len(table.columns)}"
    body = (
        f"| {' | '.join('' if c is None else str(c).replace('|', chr(92) + '|') for c in row)} |" for row in table.rows
    )
    return "\n".join((head, *body)) + "\n"
