"""The whole page of a run: every picture is kept, shown, described in words and explained."""

import io
import re
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from analyses.kernel_density import KernelFit
from llmworld_jax.experiments import animation, density_estimation, density_section, dynamics_report, system_section
from llmworld_jax.experiments.dynamics_config import DynamicsConfig
from llmworld_jax.experiments.report_pictures import Pictures

NUMBERS, POINT, CHAIN = "noisy_logistic_map", "logistic_map", "markov_chain_low_entropy"
MADE_BY = {"model": {"id": "made-up", "dtype": "float32"}, "command": "llmworld dynamics"}


def dot(name: str) -> bytes:
    """A picture of one pixel."""
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((1, 1, 3), np.uint8)).save(buffer, name)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def folder(made_up, tmp_path_factory) -> Path:
    """A report of three systems; what the pictures look like is another test's matter."""
    png, moving = dot("PNG"), animation.Moving(dot("GIF"), dot("PNG"))
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        for module in (dynamics_report, system_section):
            for name in vars(module):
                if name.endswith("_figure"):
                    several = name in ("learning_figure", "regret_figure", "scaling_figure")
                    patch.setattr(module, name, lambda *_, found=(png, png) if several else png, **__: found)
        patch.setattr(system_section, "law_animation", lambda *_: moving)
        config = DynamicsConfig(system=(NUMBERS, POINT, CHAIN), steps=60, seeds=2)
        path = dynamics_report.write_report(folder, config, made_up(NUMBERS, POINT, CHAIN), MADE_BY)
    assert path == folder / "report.html"
    return folder


@pytest.fixture(scope="module")
def page(folder) -> str:
    return (folder / "report.html").read_text("utf-8")


def test_every_picture_is_kept_and_shown(folder, page):
    kept = {path.name for path in (folder / "figures").iterdir()}
    whole = {f"{name}{part}.png" for name in ("learning", "scaling", "regret") for part in ("", "_2")} | {
        "off_grid.png"
    }
    each = {NUMBERS: ("tree", "sigma", "kurtosis"), POINT: ("tree",), CHAIN: ("transition", "risk")}
    of_system = {
        f"{name}_{figure}.png" for name, own in each.items() for figure in (*own, "band", "laws", "calibration")
    }
    moving = {f"{NUMBERS}_context.gif", f"{NUMBERS}_context.png"}  # the first system's alone: they are large
    assert kept == whole | of_system | moving
    assert page.count('<img src="data:image/png') == len(whole | of_system)
    assert page.count('<img src="data:image/gif') == 1


def test_every_picture_is_described_and_explained(page):
    alts = [unescape(alt) for alt in re.findall(r'<img [^>]*alt="([^"]*)"', page)]
    assert all(len(alt) > 30 for alt in alts)
    assert len(set(alts)) == len(alts)
    figures = re.findall(r"<figure>(.*?)</figure>", page, re.S)
    captions = [re.search("<figcaption>(.*?)</figcaption>", figure, re.S) for figure in figures]
    unexplained = [figure for figure, caption in zip(figures, captions, strict=True) if caption is None]
    assert len(unexplained) == 3  # first pages of figures whose caption stands under the last
    assert all("(part 1 of 2)" in figure for figure in unexplained)
    assert all(len(caption[1]) > 150 for caption in captions if caption)


def test_the_page_has_all_its_parts_in_order(page):
    headings = [unescape(h) for h in re.findall(r"<h2[^>]*>(.*?)</h2>", page)]
    assert headings == [
        *("What the model learns", "Learning curves", "Scaling", "Regret"),
        *("Noisy logistic map", "Logistic map", "Markov chain low entropy"),
        *("Resolution floors", "Mass off the grid", "How this was made"),
    ]
    assert "Verdicts on 3 systems: 3 × “learns”" in page
    assert "2 series of 60 items per system, 2 digits a number, no start token" in page
    assert re.findall(r'(?:src|href|srcset)="(?!data:|#)', page) == []


def test_captions_say_what_the_numbers_say(made_up, page):
    (r,) = made_up(NUMBERS)
    c = r.calibration
    assert f"{c.coverage[2]:.0%}".replace("%", " %") + " of the values fall inside the 90 % interval" in page
    wide = "too wide" if c.coverage[2] > 0.93 else "too narrow" if c.coverage[2] < 0.87 else "about as wide"
    assert wide in page
    t = system_section.typical_state(r)
    assert f"item {t} of the first series, written {' '.join(f'{r.codes[0, t]:02d}')}" in page
    ratio = np.median(r.scores.sd[:, 30:] / r.truth.sd[:, 30:])
    assert f"they lie {ratio:.2g}× as high" in page
    assert "needs 17 items" in page


def test_only_numbers_drawn_independently_have_a_density_to_estimate(made_up):
    independent, numbers, point, chain = made_up("iid_gaussian", NUMBERS, POINT, CHAIN)
    assert density_section.is_memoryless(independent)
    assert not any(density_section.is_memoryless(r) for r in (numbers, point, chain))


@pytest.mark.parametrize("steps", [50, 400])
def test_the_density_is_followed_over_contexts_that_can_be_followed(made_up, tmp_path, monkeypatch, steps):
    (r,) = made_up("iid_gaussian", seeds=1, steps=steps)
    names = ("model", "histogram")
    asked = {}

    def story(log_mass, codes, truth, edges, contexts, *, window):
        density_estimation._checked(log_mass, codes, truth, edges, contexts, window)  # raises InputError
        asked.update(contexts=contexts, truth=truth)
        none = np.zeros(len(contexts))
        return density_estimation.DensityStory(
            contexts, {}, truth, truth, KernelFit(none, none, none, none > 0), none,
            {name: none + k for k, name in enumerate(names)}, -0.21, None,
        )  # fmt: skip

    monkeypatch.setattr(density_section, "density_story", story)
    for name in ("inpca_figure", "bandwidth_figure"):
        monkeypatch.setattr(density_section, name, lambda *_, **__: dot("PNG"))
    heading, laws, kernel = density_section.density_blocks(r, Pictures(tmp_path))
    assert heading.text
    assert (asked["contexts"][0], asked["contexts"][-1]) == (4, steps - 3)
    np.testing.assert_array_equal(asked["truth"], r.truth.mass[0, -1])
    assert f"After {steps - 3} samples the model is nearest to the truth" in laws.caption
    assert "narrows as n^−0.21" in kernel.caption
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {
        "iid_gaussian_inpca.png",
        "iid_gaussian_kernel.png",
    }
