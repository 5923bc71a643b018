"""The whole page of a run: every picture is kept, shown, described in words and explained."""

import io
import re
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from llmworld_jax.experiments import animation
from llmworld_jax.experiments.space_time import probing_sections, report, sections
from llmworld_jax.experiments.space_time.config import SpaceTimeConfig
from llmworld_jax.experiments.space_time.dataset import Found
from llmworld_jax.experiments.space_time.space_time import SpaceTime
from llmworld_jax.experiments.space_time.streaming import StreamFacts
from llmworld_jax.report import Paragraph, Subheading

pytestmark = pytest.mark.slow  # one interpreter is enough

MADE_BY = {"model": {"id": "made-up", "dtype": "float32"}, "command": "llmworld space-time"}
CONFIG = SpaceTimeConfig(dataset=("a", "b"), folds=3, prompts=("empty", "random"))
EXTRA = {"made_up_times": (Subheading("What moves"), Paragraph("Nothing did."))}


def dot(name: str) -> bytes:
    """A picture of one pixel."""
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((1, 1, 3), np.uint8)).save(buffer, name)
    return buffer.getvalue()


def found(*results) -> SpaceTime:
    """A run of these datasets, without interventions, other prompts or streams."""
    return SpaceTime(tuple(Found(r, None, None, None) for r in results), (), ())


@pytest.fixture(scope="module")
def results(made_up_study):
    times = made_up_study("time")._replace(verdict="Below the letters: nothing of its own.", good=False)
    return made_up_study("place", entities=300), times


@pytest.fixture(scope="module")
def folder(results, tmp_path_factory) -> Path:
    """A report of two datasets; what the pictures look like is another test's matter."""
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        for module in (sections, probing_sections):
            for name in vars(module):
                if name.endswith("_figure"):
                    patch.setattr(module, name, lambda *_: dot("PNG"))
        patch.setattr(sections, "layer_animation", lambda *_: animation.Moving(dot("GIF"), dot("PNG")))
        patch.setattr(report, "_further", lambda one, pictures: EXTRA.get(one.results.table.key, ()))
        assert report.write_report(folder, CONFIG, found(*results), MADE_BY) == folder / "report.html"
    return folder


@pytest.fixture(scope="module")
def page(folder) -> str:
    return unescape((folder / "report.html").read_text("utf-8"))


def test_every_picture_is_kept_and_shown(folder, page):
    kept = {path.name for path in (folder / "figures").iterdir()}
    both = ("controls", "layers", "directions", "curves", "neurons", "by_layer")
    whole = {f"made_up_{name}s_{figure}.png" for name in ("place", "time") for figure in both}
    whole |= {"made_up_places_map.png", "made_up_times_dates.png"}
    for left_out in ("made_up_places_without_country", "made_up_times_without_century"):
        whole |= {f"{left_out}.png", f"{left_out}_errors.png"}
    moving = {f"made_up_{name}s_by_layer.gif" for name in ("place", "time")}
    assert kept == whole | moving
    assert page.count('<img src="data:image/png') == len(whole) - len(moving)
    assert page.count('<img src="data:image/gif') == len(moving)


def test_every_picture_is_described_and_explained(page):
    alts = re.findall(r'<img [^>]*alt="([^"]*)"', page)
    assert all(len(alt) > 30 for alt in alts)
    assert len(set(alts)) == len(alts)
    figures = re.findall(r"<figure>(.*?)</figure>", page, re.S)
    captions = [re.search("<figcaption>(.*?)</figcaption>", figure, re.S) for figure in figures]
    assert all(caption and len(caption[1]) > 150 for caption in captions)


def test_the_page_has_all_its_parts_in_order(page):
    headings = re.findall(r"<h2[^>]*>(.*?)</h2>", page)
    assert headings == [
        *("What the probes find", "Made up places", "Made up times", "How to read the numbers", "How this was made"),
    ]
    assert "3 random folds; a newline before each prompt; prompts: empty and random" in page
    assert page.count('class="verdict good"') == page.count('class="verdict negative"') == 2
    assert re.findall(r'(?:src|href|srcset)="(?!data:|#)', page) == []


def test_the_lead_gives_every_verdict(page, results):
    lead = page[page.index('class="lead"') : page.index("<main>")]
    for r in results:
        s = r.controls[0].scores
        assert f"R² {s.r2.mean():.2f}, ρ {s.rho.mean():.2f}. {r.verdict}" in lead


def test_what_interventions_found_stands_with_its_dataset(page):
    places, times = page[page.index('id="made-up-places"') :].split('id="made-up-times"')
    assert "Nothing did." not in places
    assert times.index("Nothing did.") < times.index("CC0 1.0")
    assert "Nothing in it is true." in times


def test_captions_say_what_the_numbers_say(page, results):
    places, times = results
    narrower = places.sweep.final.std(axis=0) / places.table.targets.std(axis=0)
    assert f"spread {narrower[0]:.2f} times as far as the truth from west to east" in page
    best = places.sweep.r2.mean(axis=(0, 2))
    assert f"highest, {best.max():.2f}, at layer {best.argmax()}" in page
    assert "moves 45 % of the way from the mean to the true centre" in page
    assert "“century” alone would explain 90 % of the variance" in page
    assert f"typically have one of ±{24**-0.5:.2f}" in page
    assert f"Median error {times.controls[0].scores.error.mean():.0f} years" in page


def test_little_results_make_a_page_too(made_up_study, tmp_path, monkeypatch):
    """No twin, no neurons, no curves, no hold-out, no group of thirty."""
    for name in ("date_figure", "control_figure", "layer_figure", "cosine_figure"):
        monkeypatch.setattr(sections, name, lambda *_: dot("PNG"))
    monkeypatch.setattr(sections, "layer_animation", lambda *_: animation.Moving(dot("GIF"), dot("PNG")))
    r = made_up_study("number")
    little = r._replace(twin=None, neurons=None, curves=(), blocks={"century": ()}, mlp=None, by_group=())
    text = report.write_report(tmp_path, CONFIG, found(little), MADE_BY).read_text("utf-8")
    headings = re.findall(r"<h3>(.*?)</h3>", text)
    assert headings == ["Against controls", "Layer by layer", "Data"]
    assert "(people)" in text


@pytest.mark.slow
def test_the_whole_report_is_drawn(results, tmp_path, monkeypatch):
    path = report.write_report(tmp_path, CONFIG, found(*results), MADE_BY)
    assert 300_000 < path.stat().st_size < 8_000_000
    for picture in (tmp_path / "figures").glob("*.png"):
        assert Image.open(picture).size[0] > 400, picture.name


def test_a_streamed_dataset_is_said_to_have_one_split(results):
    run = found(*results)
    streamed = run.datasets[0]._replace(stream=StreamFacts(1000, 1.0, 1000.0, 10, 10))
    said = report._how_read(CONFIG, run._replace(datasets=(streamed, run.datasets[1])), MADE_BY)
    assert "3 random folds (only the first of Made up places)" in said
    assert "only" not in report._how_read(CONFIG, run, MADE_BY)
