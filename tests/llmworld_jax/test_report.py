"""The report page: safe, self-contained, well formed; any text whatever goes in."""

import io
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import figure

from llmworld_jax.report import (
    Animation,
    Code,
    Facts,
    Figure,
    Items,
    Paragraph,
    Report,
    Section,
    Subheading,
    Table,
    Verdict,
    render,
)
from llmworld_jax.report_style import STYLE

VOID = {"meta", "link", "img", "br", "source"}


def png():
    stream = io.BytesIO()
    figure.Figure(figsize=(8, 2)).savefig(stream)
    return stream.getvalue()


def gif():
    """Two frames of one pixel each, written by hand."""
    head = b"GIF89a" + bytes((1, 0, 1, 0, 0x80, 0, 0)) + bytes((0, 0, 0, 255, 255, 255))
    frames = [b"," + bytes((0, 0, 0, 0, 1, 0, 1, 0, 0)) + bytes((2, 2, code, 1, 0)) for code in (0x44, 0x4C)]
    return head + b"".join(frames) + b";"


class Page(HTMLParser):
    """The page as a list of elements; raises when tags do not nest."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.texts = [], []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.texts.append((tuple(self._open), data))

    def of(self, *tags):
        return [attributes for tag, attributes in self.elements if tag in tags]

    def text_in(self, tag):
        return "".join(data for path, data in self.texts if tag in path)


def full_report(text="Words & more", wide=12):
    rows: tuple = tuple((f"system {k}", *(0.001 * (k + 1) * (j + 1) for j in range(wide))) for k in range(4))
    blocks = (
        Paragraph(text),
        Subheading(text),
        Items((text, text)),
        Code(f"llmworld dynamics --name {text} " * 4),
        Verdict("good", text),
        Verdict("neutral", text),
        Verdict("negative", text, label="Not learned."),
        Facts({"model": {"sha256": "0123456789abcdef" * 8, "id": text}, "seeds": (1, 2), "none": None}),
        Table((text, *(f"column {j}" for j in range(wide))), rows, text),
        Table(("n", "answer"), ((1, text), (2, None))),
        Figure(png(), text, text),
        Animation(gif(), png(), text, text),
    )
    sections = (Section(text, blocks), Section(text, blocks[:1]))
    return Report(f"Title {text}", (text, text), sections, {"command": f"llmworld {text}", "versions": {"x": "1"}})


def test_the_page_is_well_formed_and_says_everything_it_was_given():
    page = Page(render(full_report()))
    assert [tag for tag, _ in page.elements[:2]] == ["html", "head"]
    assert page.of("html")[0]["lang"] == "en"
    assert page.text_in("title") == "Title Words & more"
    levels = [int(tag[1]) for tag, _ in page.elements if tag in ("h1", "h2", "h3")]
    assert levels == [1, 2, 3, 2, 2]
    body = page.text_in("body")
    assert all(phrase in body for phrase in ("system 3", "Not learned.", "Holds.", "model.sha256", "1, 2"))
    assert len(page.of("h1")) == 1


def test_ids_are_unique_and_every_link_and_label_points_at_one():
    page = Page(render(full_report("a")))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = [link["href"].removeprefix("#") for link in page.of("a")]
    labels = [attributes["aria-labelledby"] for _, attributes in page.elements if "aria-labelledby" in attributes]
    assert set(targets) | set(labels) <= set(ids)
    assert len(targets) == 3


def test_a_short_page_has_no_contents_list():
    page = Page(render(Report("T", (), (Section("S", (Paragraph("p"),)),), {})))
    assert not page.of("nav")


def test_nothing_is_asked_of_anyone():
    page = Page(render(full_report("see https://example.org/x and //example.org")))
    for tag, attributes in page.elements:
        assert tag not in {"script", "iframe", "object", "embed", "form", "base", "video", "audio", "svg"}
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "srcset", "action", "data", "poster", "background"):
            assert re.match(r"data:|#", attributes.get(name) or "#"), (tag, attributes)
        assert "url(" not in (attributes.get("style") or "")
    assert not re.search(r"url\(|@import|//", STYLE)
    policies = [m["content"] for m in page.of("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert len(policies) == 1
    assert policies[0].startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")
    assert "script-src" not in policies[0]


ATTACKS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "`</code><b>`",
    "</style></title><b>",
    "&lt;b&gt;",
    "<!--",
]


@pytest.mark.parametrize("text", ATTACKS)
def test_text_stays_text(text):
    plain, attacked = Page(render(full_report("word"))), Page(render(full_report(text)))

    def skeleton(page):
        return [(tag, sorted(names)) for tag, names in page.elements if tag != "code"]

    assert skeleton(attacked) == skeleton(plain)
    assert text.replace("`", "") in attacked.text_in("body")
    assert attacked.of("img")[0]["alt"] == text
    assert text in attacked.text_in("title")


@given(st.text(st.characters(), min_size=1).filter(str.strip))
@settings(deadline=None, max_examples=60)
def test_any_text_whatever_gives_a_page_that_can_be_written_and_parsed(text):
    page = render(full_report(text, wide=1))
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", page)
    Page(page.encode("utf-8").decode("utf-8"))


def test_moving_pictures_can_be_hidden_and_stand_still_where_motion_is_unwanted():
    page = Page(render(Report("T", (), (Section("S", (Animation(gif(), png(), "It moves", "So"),)),), {})))
    (still,), (moving,), (details,) = page.of("source"), page.of("img"), page.of("details")
    assert "(prefers-reduced-motion: reduce)" in still["media"]
    assert "print" in still["media"]
    assert still["srcset"].startswith("data:image/png;base64,")
    assert moving["src"].startswith("data:image/gif;base64,")
    assert (moving["alt"], moving["width"], moving["height"]) == ("It moves", "1", "1")
    assert "open" in details
    assert page.text_in("summary")
    assert page.text_in("figcaption") == "So"


def test_backquotes_set_code_and_nothing_else():
    page = Page(render(Report("T", ("Use `a < b` or ` and `",), (), {})))
    assert page.text_in("code") == "a < b and "


def test_rendering_is_a_function_of_the_report():
    assert render(full_report()) == render(full_report())


def test_columns_of_numbers_are_aligned_right_and_rows_have_headers():
    table = Table(("name", "n", "± text", "note"), (("a", 1, "0.5 ± 0.1", "x1"), ("b", None, "−2 %", 3)))
    page = Page(render(Report("T", (), (Section("S", (table,)),), {})))
    assert [cell.get("class") for cell in page.of("th", "td")] == [None, "number", "number", None] * 3
    assert [cell.get("scope") for cell in page.of("th")] == ["col"] * 4 + ["row"] * 2
    assert ".number{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums" in STYLE
