"""Pictures and words about other prompts and other datasets, from made-up arrays."""

import importlib
import io
import re

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow  # one interpreter is enough

WIDTH, LAYERS, FOLDS = 64, 5, 3


def comparison(keys=("empty", "coords", "random"), seed=0, folds=FOLDS):
    """The first prompt knows most; under another prompt raw R² is lost and comes back, but for 0.1, once centred."""
    from llmworld_jax.experiments.space_time.prompt_comparison import PromptComparison

    random, count = np.random.default_rng(seed), len(keys)
    level = 0.5 - 0.12 * np.arange(count)
    r2 = level[:, None, None] * np.linspace(0.2, 1, LAYERS) + 0.01 * random.normal(size=(count, folds, LAYERS))
    same = np.eye(count, dtype=bool)[..., None]
    centred = np.where(same, level[:, None, None], level[:, None, None] - 0.1) + np.zeros(folds)
    raw = np.where(same, centred, -4.0)
    raw[0, -1] = -1e6
    return PromptComparison(
        "made_up", keys, tuple(f"\n{key} `Rome`" for key in keys), LAYERS - 1, r2, r2 + 0.2,
        np.tile(LAYERS - 1 - np.arange(folds) % 2, (count, 1)), raw, centred + 0.2, centred, centred + 0.2,
        np.where(np.eye(count, dtype=bool), 1, 0.4)[..., None] * np.ones(2),
    )  # fmt: skip


def scores(r2, rho, targets, folds=1):
    from llmworld_jax.experiments.space_time.results import Scores

    one, each = (lambda value: np.full(folds, value)), np.ones((folds, targets))
    spread = np.array([0.05, -0.05])[:targets] if targets == 2 else 0
    return Scores(one(r2), one(rho), r2 * each, rho + spread * each, one(0.3), one(2100.4), one(0.42))


def moved(r2=0.1, rho=0.3, tested=400, left_out=7, own=None):
    from llmworld_jax.experiments.space_time.transfer import Transfer

    names, shift = ("longitude", "latitude"), np.array([12.3, -4.5])
    return Transfer("world_cities", "us_cities", names, "km", 3, tested, left_out, scores(r2, rho, 2), shift, own)


def pair(names=("longitude", "latitude"), level=0.5):
    from llmworld_jax.experiments.space_time.transfer import PairCosines

    line = level * np.linspace(0, 1, LAYERS)[:, None] * np.linspace(1, 0.5, len(names))
    return PairCosines("world_cities", "us_cities", names, line, WIDTH**-0.5)


@pytest.fixture(scope="module")
def draw():
    """``draw(function, data) -> figure``, kept open until the module is done."""
    import matplotlib.pyplot as plt

    made = []

    def keep(figure):
        figure.canvas.draw()
        made.append(figure)
        return b""

    def drawn(function, data):
        function(data)
        return made[-1]

    with pytest.MonkeyPatch.context() as patch:
        for name in ("prompt_figures", "transfer_figures"):
            patch.setattr(importlib.import_module(f"llmworld_jax.experiments.space_time.{name}"), "png", keep)
        yield drawn
    plt.close("all")


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """A folder for pictures of one pixel: what they look like is the matter of other tests."""
    from llmworld_jax.experiments.report_pictures import Pictures
    from llmworld_jax.experiments.space_time import comparison_sections

    dot = io.BytesIO()
    Image.fromarray(np.zeros((1, 1, 3), np.uint8)).save(dot, "PNG")
    for name in vars(comparison_sections).copy():
        if name.endswith("_figure"):
            monkeypatch.setattr(comparison_sections, name, lambda _: dot.getvalue())
    return Pictures(tmp_path)


def test_each_prompt_is_a_line_of_means_with_its_name_and_chosen_layers(draw):
    from llmworld_jax.experiments.space_time.prompt_figures import prompt_layer_figure

    c = comparison()
    figure = draw(prompt_layer_figure, c)
    for axis, each in zip(figure.axes, (c.r2, c.rho), strict=True):
        lines = [line for line in axis.lines if len(line.get_xdata()) == LAYERS]
        assert len({line.get_color() for line in lines}) == len(c.keys)
        labels = [text.get_text() for text in axis.texts]
        for line, key, of in zip(lines, c.keys, each, strict=True):
            np.testing.assert_allclose(line.get_ydata(), of.mean(axis=0))
            assert f"{key} {of[:, -1].mean():.2f}" in labels
        marks = [line for line in axis.lines if line.get_marker() == "^"]
        assert [line.get_xdata().tolist() for line in marks] == [[3, 4]] * len(c.keys)


def test_a_hopeless_prompt_does_not_flatten_the_others(draw):
    from llmworld_jax.experiments.space_time.prompt_figures import LOWEST, prompt_layer_figure

    c = comparison()
    c.r2[2, :, 2] = -30
    axis = draw(prompt_layer_figure, c).axes[0]
    assert axis.get_ylim()[0] == LOWEST
    c.r2[2] = -30  # its name stays beside the panel
    label = next(text for text in draw(prompt_layer_figure, c).axes[0].texts if "random" in text.get_text())
    assert label.get_text() == "random −30.00"
    assert label.get_position()[1] >= LOWEST


def test_cells_hold_the_means_that_their_colours_show(draw):
    from llmworld_jax.experiments.space_time.prompt_figures import prompt_matrix_figure

    c = comparison()
    figure = draw(prompt_matrix_figure, c)
    for axis, scores in zip(figure.axes, (c.raw_r2, c.centred_r2, c.raw_rho), strict=False):
        np.testing.assert_allclose(axis.images[0].get_array(), scores.mean(axis=2))
        texts = {text.get_position(): text for text in axis.texts}
        assert len(texts) == 9
        for k in range(3):
            assert texts[k, k].get_text() == f"{scores[k, k].mean():.2f}"
            assert texts[k, k].get_fontweight() == "bold"
    first = {text.get_position(): text.get_text() for text in figure.axes[0].texts}
    assert first[1, 0] == "−4.0", "column 1, row 0: trained under the first, tested under the second"
    assert first[2, 0] == "<−99"
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == list(c.keys)
    assert figure.axes[0].get_ylabel() == "trained under"
    assert figure.axes[0].get_xlabel() == "tested under"


@pytest.mark.parametrize("count", [2, 5])
def test_numbers_stay_inside_their_cells(draw, count):
    from llmworld_jax.experiments.space_time.prompt_figures import prompt_matrix_figure

    c = comparison(("empty", "where_is", "random", "coords", "empty_all_caps")[:count])
    c.raw_r2[1, 0] = -0.88
    figure = draw(prompt_matrix_figure, c)
    renderer = figure.canvas.get_renderer()
    for axis in figure.axes[:3]:
        width = axis.get_window_extent(renderer).width / count
        assert all(text.get_window_extent(renderer).width <= width for text in axis.texts)


def test_a_missing_score_is_a_dash(draw):
    from llmworld_jax.experiments.space_time.prompt_figures import prompt_matrix_figure

    c = comparison()
    c.raw_rho[0, 1] = np.nan
    texts = [text.get_text() for text in draw(prompt_matrix_figure, c).axes[2].texts]
    assert texts[1] == "–"


def test_every_pair_has_a_panel_with_its_null_and_a_line_a_target(draw):
    from llmworld_jax.experiments.space_time.transfer_figures import BAND, cosine_layer_figure

    pairs = (pair(), pair(("death_year / year",), -0.4))
    figure = draw(cosine_layer_figure, pairs)
    assert len(figure.axes) == 2
    for axis, of in zip(figure.axes, pairs, strict=True):
        lines = [line for line in axis.lines if len(line.get_xdata()) == LAYERS]
        for line, wanted in zip(lines, of.cosine.T, strict=True):
            np.testing.assert_allclose(line.get_ydata(), wanted)
        band = axis.patches[0].get_extents().transformed(axis.transData.inverted())
        np.testing.assert_allclose((band.y0, band.y1), (-BAND / 8, BAND / 8), atol=1e-6)
        assert axis.get_title(loc="left") == "World cities – US cities"
        low, high = axis.get_ylim()
        assert low < of.cosine.min()
        assert of.cosine.max() < high
    assert [text.get_text() for text in figure.axes[1].get_legend().get_texts()] == ["death year / year"]


def test_no_pair_is_no_picture():
    from llmworld_jax.experiments.space_time.transfer_figures import cosine_layer_figure

    with pytest.raises(ValueError, match="no pair"):
        cosine_layer_figure(())


def test_prompts_are_named_shown_and_compared_fold_by_fold(pictures, tmp_path):
    from llmworld_jax.experiments.space_time.comparison_sections import prompt_blocks
    from llmworld_jax.report import Figure, Table

    c = comparison()
    heading, said, table, *figures = prompt_blocks(c, "Made-up places", pictures)
    assert heading.text == "Other prompts"
    best = c.at_chosen(c.r2).mean(axis=1)
    assert f"highest under “empty” ({best[0]:.2f}) and lowest under “random” ({best[2]:.2f})" in said.text
    assert isinstance(table, Table)
    assert table.rows[1][1] == r"`\ncoords 'Rome'`", "the example is one piece of code"
    assert table.rows[0][-1] is None
    less = c.at_chosen(c.r2)[1] - c.at_chosen(c.r2)[0]
    assert table.rows[1][-1] == f"−{-less.mean():.2f} ± {less.std(ddof=1):.2f}"
    assert all(isinstance(figure, Figure) and "Made-up places" in figure.alt for figure in figures)
    kept = {path.name for path in (tmp_path / "figures").iterdir()}
    assert kept == {"made_up_prompts.png", "made_up_prompts_crossed.png"}


def test_the_loss_is_divided_into_a_common_step_and_the_rest(pictures):
    from llmworld_jax.experiments.space_time.comparison_sections import prompt_blocks

    c = comparison(("empty", "coords"))
    c.raw_r2[0, 1] = 0.0
    c.raw_r2[1, 0] = 0.0
    caption = prompt_blocks(c, "x", pictures)[-1].caption
    # Same: (.5 + .38) / 2 = .44; other, centred: .34; raw: 0.
    assert "Of the 0.44 that a probe loses under another prompt, 0.34 is one step" in caption
    assert "the rest, 0.10, is" in caption
    assert "a cosine of 0.40 on average" in caption
    worse = prompt_blocks(c._replace(raw_r2=c.centred_r2, centred_r2=c.centred_r2 - 0.2), "x", pictures)[-1].caption
    assert "does not help" in worse
    equal = c._replace(raw_r2=np.full((2, 2, FOLDS), 0.4), centred_r2=np.full((2, 2, FOLDS), 0.4))
    assert "loses nothing" in prompt_blocks(equal, "x", pictures)[-1].caption


@pytest.mark.parametrize(
    ("rho", "words"), [(0.3, "right order"), (-0.3, "wrong order"), (0.05, "no better than chance")]
)
def test_the_order_is_called_known_only_beyond_chance(rho, words):
    from llmworld_jax.experiments.space_time.comparison_sections import chance_rho, transfer_said

    said = transfer_said(moved(rho=rho))
    assert chance_rho(400) == pytest.approx(0.098, abs=1e-3)
    assert words in said
    assert "400 entities of US cities, 7 that World cities holds too being left out" in said
    assert "12.3 degrees (longitude) and −4.5 degrees (latitude)" in said


def test_chance_is_what_random_orders_reach():
    from scipy import stats

    from llmworld_jax.experiments.space_time.comparison_sections import chance_rho

    random = np.random.default_rng(0)
    found = [abs(stats.spearmanr(random.normal(size=80), np.arange(80)).statistic) for _ in range(400)]
    assert np.quantile(found, 0.95) == pytest.approx(chance_rho(80), rel=0.15)


def test_a_negative_score_is_called_worse_than_one_mean():
    from llmworld_jax.experiments.space_time.comparison_sections import transfer_said

    worse = "One mean for all of these entities would have the smaller squared error"
    assert worse in transfer_said(moved(r2=-2.0))
    assert worse not in transfer_said(moved(r2=0.1))
    nothing = moved(tested=0)
    nothing = nothing._replace(scores=nothing.scores._replace(r2=np.array([np.nan])))
    assert "not tested, since 0 entities remain" in transfer_said(nothing)


def test_the_section_sets_each_transfer_beside_the_datasets_own_probes(pictures):
    from llmworld_jax.experiments.space_time.comparison_sections import transfer_section
    from llmworld_jax.report import Report, Table, render

    section = transfer_section((moved(own=scores(0.2, 0.4, 2, 5)), moved()), (pair(),), pictures)
    table = next(block for block in section.blocks if isinstance(block, Table))
    assert [row[0] for row in table.rows] == [
        "World cities → US cities", "US cities, its own probes", "World cities → US cities",
    ]  # fmt: skip
    assert table.rows[0][2:] == ("0.10", "0.30 (longitude 0.35, latitude 0.25)", "0.42", "2,100 km")
    caption = section.blocks[-1].caption
    assert "World cities – US cities, longitude: 0.50 at layer 4" in caption
    beyond = int((pair().cosine > 1.96 / 8).sum())
    assert f"{beyond} of {2 * LAYERS} lie beyond it" in caption
    page = render(Report("Run", (), (section,), {}))
    assert not re.search(r"\bnan\b", page)


def test_without_a_pair_the_section_says_so(pictures):
    from llmworld_jax.experiments.space_time.comparison_sections import transfer_section

    section = transfer_section((), (), pictures)
    assert len(section.blocks) == 1
    assert "No two of these datasets" in section.blocks[0].text
