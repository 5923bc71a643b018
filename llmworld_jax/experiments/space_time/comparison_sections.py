"""What the report says about other prompts and about going from one dataset to another."""

import numpy as np

from ...report import Block, Figure, Paragraph, Section, Subheading, Table
from ..report_pictures import Pictures
from .describing import layers_text, listed, mean_sd, number, spread
from .prompt_comparison import PromptComparison
from .prompt_figures import prompt_layer_figure, prompt_matrix_figure, prompt_name, same_and_other
from .results import Scores
from .transfer import PairCosines, Transfer
from .transfer_figures import BAND, cosine_layer_figure, dataset_name, pair_name


def prompt_blocks(c: PromptComparison, title: str, pictures: Pictures) -> tuple[Block, ...]:
    """Every prompt on its own, and every prompt's probe under all others; ``title`` names the dataset."""
    return (
        Subheading("Other prompts"),
        _prompts_said(c),
        _prompt_table(c),
        _prompt_layers(c, title, pictures),
        _prompt_matrix(c, title, pictures),
    )


def _prompts_said(c: PromptComparison) -> Paragraph:
    r2 = c.at_chosen(c.r2).mean(axis=1)
    best, worst = int(np.nanargmax(r2)), int(np.nanargmin(r2))
    return Paragraph(
        f"The same entities in the same folds, read under {len(c.keys)} prompts, with the name always last. At the "
        f"layers that the folds chose, R² is highest under “{prompt_name(c.keys[best])}” ({number(float(r2[best]))}) "
        f"and lowest under “{prompt_name(c.keys[worst])}” ({number(float(r2[worst]))}). All else about this dataset "
        f"was measured under “{prompt_name(c.keys[0])}”."
    )


def _prompt_table(c: PromptComparison) -> Table:
    r2, rho, folds = c.at_chosen(c.r2), c.at_chosen(c.rho), c.r2.shape[1]
    rows = tuple(
        (
            prompt_name(key), _literal(example), spread(r2[k]), spread(rho[k]), layers_text(c.chosen[k]),
            None if k == 0 else spread(r2[k] - r2[0]),
        )
        for k, (key, example) in enumerate(zip(c.keys, c.examples, strict=True))
    )  # fmt: skip
    return Table(
        ("prompt", "what is read of the first entity", "R²", "ρ", "chosen", "R² less the first's"),
        rows,
        f"Scores on test rows at the layer that each fold chose on its training rows, mean ± standard deviation over "
        f"{folds} fold{'s' if folds > 1 else ''}; the last column is taken fold by fold, on the same entities.",
    )


def _literal(text: str) -> str:
    return f"`{repr(text)[1:-1].replace('`', chr(39))}`"


def _prompt_layers(c: PromptComparison, title: str, pictures: Pictures) -> Figure:
    embedding, last = c.r2[..., 0].mean(axis=1), c.r2[..., -1].mean(axis=1)
    gap = f"{number(float(np.ptp(embedding)))} at the token embedding and {number(float(np.ptp(last)))} after the last"
    return pictures.figure(
        f"{c.dataset}_prompts",
        prompt_layer_figure(c),
        f"R² and rank correlation of {title} against layer under {len(c.keys)} prompts",
        "Score on test rows of the probes of each layer, fitted and tested under one prompt (band: one standard "
        "deviation over folds). Where a line lies lower, less can be read linearly at the name's last token, with "
        "probes made for that very prompt. Where prompts end in the same token their lines meet at layer 0, which sees "
        f"nothing before it. From the best to the worst prompt R² differs by {gap} block.",
    )


def _prompt_matrix(c: PromptComparison, title: str, pictures: Pictures) -> Figure:
    same, raw = same_and_other(c.raw_r2)
    _, centred = same_and_other(c.centred_r2)
    rho, rho_other = same_and_other(c.raw_rho)
    between = c.cosines[~np.eye(len(c.keys), dtype=bool)]
    return pictures.figure(
        f"{c.dataset}_prompts_crossed",
        prompt_matrix_figure(c),
        f"R² and ρ of {title} for probes trained under one prompt and tested under another, as they are and with the "
        "mean shift between prompts undone",
        f"Probes of layer {c.layer}, trained under the prompt of the row and tested, on other entities, under that of "
        "the column (bold: the same). Middle: the mean difference of the two prompts over training rows is taken away "
        f"first. With one prompt R² is {number(same)} on average, with two {number(raw)} as it is and "
        f"{number(centred)} with the shift undone. {_shift_said(same, raw, centred)} ρ, which no shift of all "
        f"predictions changes, is {number(rho)} with one prompt and {number(rho_other)} with two. Pink: below 0, worse "
        "than the mean of the test rows. Directions of the probes of two prompts, fitted on all rows, have a cosine of "
        f"{number(mean_sd(between)[0])} on average.",
    )


def _shift_said(same: float, raw: float, centred: float) -> str:
    """How much of the loss from one prompt to another is one shift of all entities alike."""
    if not np.isfinite((same, raw, centred)).all():
        return "Too little is known to say what is lost."
    if same - raw < 0.01:
        return "A probe loses nothing under another prompt."
    if centred < raw:
        return "Undoing the shift does not help: what differs is not one step for all entities."
    return (
        f"Of the {number(same - raw)} that a probe loses under another prompt, {number(centred - raw)} is one step "
        f"that all entities take alike; the rest, {number(same - centred)}, is a difference from entity to entity, or "
        "in the direction that carries the answer."
    )


def transfer_section(
    transfers: tuple[Transfer, ...], cosines: tuple[PairCosines, ...], pictures: Pictures
) -> Section:  # fmt: skip
    """One dataset's probe on another's entities, and the angles between their directions."""
    blocks: list[Block] = []
    if transfers:
        blocks += [*(Paragraph(transfer_said(t)) for t in transfers), _transfer_table(transfers)]
    if cosines:
        blocks.append(_cosines(cosines, pictures))
    if not blocks:
        blocks.append(Paragraph("No two of these datasets have targets that can be compared."))
    return Section("From one dataset to another", tuple(blocks))


def transfer_said(t: Transfer) -> str:
    """One transfer in words, all of it computed."""
    a, b, s = dataset_name(t.a_name), dataset_name(t.b_name), t.scores
    r2, rho, slope = (mean_sd(values)[0] for values in (s.r2, s.rho, s.slope))
    left = f", {t.left_out:,} that {a} holds too being left out" if t.left_out else ""
    if not np.isfinite(r2):
        return f"{a} → {b}: not tested, since {t.tested:,} entities remain{left}."
    own = "" if t.own is None else f" (probes of its own: R² {spread(t.own.r2)}, ρ {spread(t.own.rho)})"
    return (
        f"{a} → {b}: the probe of layer {t.layer}, fitted on all of {a}, says of {t.tested:,} entities of {b}{left}: "
        f"R² {number(r2)}, ρ {number(rho)}{own}. {_order_said(rho, t.tested)} {_scale_said(r2, slope, t)}"
    )


def chance_rho(tested: int) -> float:
    """|ρ| that 95 % of independent orders of so many entities stay below, nearly."""
    return 1.96 / np.sqrt(max(tested - 1, 1))


def _order_said(rho: float, tested: int) -> str:
    chance = chance_rho(tested)
    if not np.isfinite(rho):
        return "It says the same of all."
    if rho > chance:
        return f"It puts them into the right order more than chance would (|ρ| up to {number(chance)})."
    if rho < -chance:
        return f"It puts them into the wrong order more than chance would (|ρ| up to {number(chance)})."
    return f"Their order is no better than chance (|ρ| up to {number(chance)})."


def _scale_said(r2: float, slope: float, t: Transfer) -> str:
    unit = t.unit if len(t.target_names) == 1 else "degrees"
    off = listed(
        [f"{number(float(x), 1)} {unit} ({name.replace('_', ' ')})" for x, name in zip(t.shift, t.target_names)]
    )
    worse = " One mean for all of these entities would have the smaller squared error." if r2 < 0 else ""
    return (
        f"Its predictions differ from the truth by {off} on average; their calibration slope is {number(slope)}.{worse}"
    )


def _transfer_table(transfers: tuple[Transfer, ...]) -> Table:
    rows: list[tuple[str | None, ...]] = []
    for t in transfers:
        rows.append((f"{dataset_name(t.a_name)} → {dataset_name(t.b_name)}", f"{t.tested:,}", *_cells(t.scores, t)))
        if t.own is not None:
            rows.append((f"{dataset_name(t.b_name)}, its own probes", None, *_cells(t.own, t)))
    return Table(
        ("probe → entities", "entities", "R²", "ρ", "slope", "median error"),
        tuple(rows),
        "The probe of one dataset on the entities of another that it does not hold, and, to stand beside it, the "
        "cross-validated probes of the other dataset itself, which were fitted on entities of its kind and range. ρ "
        "by target in brackets where there are two. Slope: 1 where a step of the prediction is a step of the truth, "
        "near 0 where predictions spread without following it.",
    )


def _cells(s: Scores, t: Transfer) -> tuple[str, ...]:
    rho = spread(s.rho)
    if len(t.target_names) > 1:
        each = zip(t.target_names, s.rho_each.mean(axis=0))
        rho += f" ({', '.join(f'{name} {number(float(value))}' for name, value in each)})"
    error = mean_sd(s.error)[0]
    return spread(s.r2), rho, spread(s.slope), f"{number(error, 0 if error >= 10 else 1)} {t.unit}".rstrip()


def _cosines(cosines: tuple[PairCosines, ...], pictures: Pictures) -> Figure:
    found = []
    for pair in cosines:
        for name, line in zip(pair.target_names, pair.cosine.T, strict=True):
            if np.isfinite(line).any():
                best = int(np.nanargmax(np.abs(line)))
                found.append(
                    f"{pair_name(pair)}, {name.replace('_', ' ')}: {number(float(line[best]))} at layer {best}"
                )
    return pictures.figure(
        "directions_between_datasets",
        cosine_layer_figure(cosines),
        f"Cosine between the probe directions of {listed([pair_name(pair) for pair in cosines])} against layer",
        "Cosine of the directions that the probes of two datasets read at one layer (each fitted on all its rows). At "
        "1 both read along one line; in the grey band (±1.96/√width) lie 95 % of pairs of random directions. "
        f"Of the points drawn, {_beyond(cosines)} lie beyond it. Largest in size: {'; '.join(found) or 'none known'}. "
        "Activations are correlated, so that probes can leave the band without sharing a meaning, and two probes of "
        "one quantity can be far from parallel; whether one does the other's work is what the table above says.",
    )


def _beyond(cosines: tuple[PairCosines, ...]) -> str:
    known = sum(int(np.isfinite(pair.cosine).sum()) for pair in cosines)
    out = sum(int((np.abs(pair.cosine) > BAND * pair.null).sum()) for pair in cosines)
    return f"{out} of {known}"
