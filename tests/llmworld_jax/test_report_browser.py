"""The report page in a real browser: nothing wider than the window, nothing in the console, nothing blank."""

import io
import re
import shutil
import subprocess

import numpy as np
import pytest
from matplotlib import figure, image

from llmworld_jax.report import Code, Facts, Figure, Items, Paragraph, Report, Section, Table, Verdict, render

PHONE, DESKTOP = 390, 1280
LONG = "Bhattacharyya_distance_of_a_word_without_any_space_that_is_wider_than_a_phone"
BROWSER = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
    *("--hide-scrollbars", "--virtual-time-budget=2000", "--enable-logging=stderr", "--v=0"),
)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")

# Told to the outer page: how wide the page is, and what reaches beyond it outside a scrolling container.
PROBE = """<script>addEventListener("load", () => {
const width = document.documentElement.clientWidth;
const beyond = [...document.body.querySelectorAll("*")].filter(e =>
    e.getBoundingClientRect().right > width + 0.5 && !e.parentElement.closest(".scroll, pre"));
parent.postMessage(JSON.stringify([width, document.documentElement.scrollWidth,
    beyond.map(e => e.tagName + "." + e.className)]), "*")})</script>"""


def browse(tmp_path, page, *options, width=DESKTOP, height=2000):
    command = [
        str(BROWSER),
        *FLAGS,
        f"--user-data-dir={tmp_path / 'profile'}",
        f"--window-size={width},{height}",
    ]
    return subprocess.run([*command, *options, page.as_uri()], capture_output=True, text=True, timeout=100, check=True)


def framed(tmp_path, source, width):
    """A page that shows ``source`` in a frame of the given width: a window cannot be as narrow as a phone."""
    page = tmp_path / f"frame{width}.html"
    page.write_text(
        f'<!doctype html><body style="margin:0;background:#888"><iframe src="{source.name}" '
        f'style="border:0;width:{width}px;height:2000px"></iframe><p id="told"></p>'
        '<script>onmessage = e => document.getElementById("told").textContent = e.data</script>'
    )
    return page


def wide_report():
    """Everything that could be wider than a phone: a word, code, a hash, a picture and a table."""
    canvas, stream = figure.Figure(figsize=(24, 8)), io.BytesIO()
    canvas.subplots().plot([0, 1])
    canvas.savefig(stream)
    rows: tuple = tuple((f"system {k}", *(0.001 * (k + 1) * (j + 1) for j in range(14))) for k in range(4))
    blocks: tuple = (
        Paragraph(f"{LONG} and `{LONG}`"),
        Items((LONG,)),
        Code(f"llmworld dynamics --name {LONG} " * 4),
        Verdict("negative", LONG, label="Not learned."),
        Facts({"model": {"sha256": "0123456789abcdef" * 8, LONG: LONG}}),
        Figure(stream.getvalue(), "A line", LONG),
        Table(("system", *(f"column {j}" for j in range(14))), rows, LONG),
        Table((LONG, "n"), ((LONG, 1),)),
        *(Paragraph("Words to fill the page. " * 40) for _ in range(4)),
    )
    sections = (Section(LONG, blocks), Section("Words", blocks[-3:]))
    return Report(f"Title {LONG}", (LONG,), sections, {"command": f"llmworld {LONG}", "version": "1"})


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render(wide_report()), "utf-8")
    return path


@pytest.mark.browser
@needs_browser
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_the_page_never_scrolls_sideways(tmp_path, page, width):
    probe = tmp_path / "probe.html"
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text("utf-8"))
    probe.write_text(text.replace("</body>", f"{PROBE}</body>"), "utf-8")
    dom = browse(tmp_path, framed(tmp_path, probe, width), "--dump-dom", width=max(width, 600)).stdout
    told = re.search(r'id="told">\[(\d+),(\d+),\[(.*?)\]\]<', dom)
    assert told, dom[-500:]
    assert (int(told[1]), int(told[2]), told[3]) == (width, width, "")


@pytest.mark.browser
@needs_browser
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_the_page_is_drawn_without_a_console_message(tmp_path, page, width):
    picture = tmp_path / "page.png"
    source = framed(page.parent, page, PHONE) if width == PHONE else page
    done = browse(tmp_path, source, f"--screenshot={picture}", width=max(width, 600))
    assert "CONSOLE" not in done.stderr
    pixels = image.imread(picture)[:, :width, :3]
    assert pixels.shape[1] == width
    dark = pixels.mean(axis=-1) < 0.4
    # Text is drawn from top to bottom, on a page that is mostly paper.
    assert all(block.any() for block in np.array_split(dark, 10))
    assert 0.005 < dark.mean() < 0.5


@pytest.mark.browser
@needs_browser
def test_the_console_check_would_notice_a_request(tmp_path, page):
    broken = tmp_path / "broken.html"
    broken.write_text(page.read_text("utf-8").replace("</main>", '<img src="missing.png"></main>'), "utf-8")
    done = browse(tmp_path, broken, f"--screenshot={tmp_path / 'page.png'}")
    assert "CONSOLE" in done.stderr
    assert "Content Security Policy" in done.stderr
