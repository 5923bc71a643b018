"""One run, one page: a ``Report`` rendered to a single HTML file that asks nobody for anything.

``render`` is a pure function to the text of the page. All text is escaped, figures are inlined, there is no
script, and a content security policy forbids every request, so that the page opens from the file system as it
does from a server. It reads at desktop and phone width, in light and dark, and on paper.
"""

import re
from collections.abc import Callable, Mapping
from html import escape
from itertools import count
from typing import Any

import numpy as np

from .report_blocks import (
    Animation,
    Block,
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
    is_number,
    spelled_column,
)
from .report_style import STYLE

__all__ = [
    "Animation",
    "Block",
    "Code",
    "Facts",
    "Figure",
    "Items",
    "Paragraph",
    "Report",
    "Section",
    "Subheading",
    "Table",
    "Verdict",
    "render",
]

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_VERDICTS = {"good": "Holds.", "neutral": "Note.", "negative": "Does not hold."}
# What no HTML file may hold: control characters and halves of surrogate pairs.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_NUMERIC = re.compile(r"\s*[-−+±~≈<>≤≥]*\s*\d[\d.,\s±+−×%()/e-]*\s*")


def _plain(text: str) -> str:
    return escape(_FORBIDDEN.sub("\ufffd", text), quote=True)


def _inline(text: str) -> str:
    return re.sub(r"`([^`\n]+)`", r"<code>\1</code>", _plain(text))


def _table(block: Table, name: str) -> str:
    columns = [tuple(row[k] for row in block.rows) for k in range(len(block.columns))]
    filled = [[cell for cell in column if cell is not None] for column in columns]
    numeric = [
        bool(cells) and all(is_number(c) or (isinstance(c, str) and _NUMERIC.fullmatch(c)) for c in cells)
        for cells in filled
    ]
    style = [' class="number"' if right else "" for right in numeric]
    head = "".join(f'<th scope="col"{style[k]}>{_inline(title)}</th>' for k, title in enumerate(block.columns))
    body = []
    for row in zip(*(spelled_column(column) for column in columns)):
        cells = [f"<td{style[k]}>{_inline(text)}</td>" for k, text in enumerate(row)]
        if not numeric[0]:
            cells[0] = f'<th scope="row">{_inline(row[0])}</th>'
        body.append(f"<tr>{''.join(cells)}</tr>")
    caption = f'<figcaption id="{name}">{_inline(block.caption)}</figcaption>' if block.caption else ""
    label = f'aria-labelledby="{name}"' if block.caption else 'aria-label="Table"'
    return (
        f'<figure class="tabular">{caption}<div class="scroll" role="region" {label} tabindex="0">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div></figure>"
    )


def _figure(block: Figure) -> str:
    width, height = block.css_size()
    caption = f"<figcaption>{_inline(block.caption)}</figcaption>" if block.caption else ""
    return (
        f'<figure><div class="picture"><img src="{block.data_uri()}" alt="{_plain(block.alt)}" '
        f'width="{width}" height="{height}"></div>{caption}</figure>'
    )


def _animation(block: Animation) -> str:
    """It can be hidden, since a page without script cannot stop it, and stands still where motion is unwanted."""
    width, height = block.css_size()
    caption = f"<figcaption>{_inline(block.caption)}</figcaption>" if block.caption else ""
    still = f'<source media="(prefers-reduced-motion: reduce), print" srcset="{block.still_figure().data_uri()}">'
    moving = f'<img src="{block.data_uri()}" alt="{_plain(block.alt)}" width="{width}" height="{height}">'
    return (
        '<figure><details open class="moving"><summary>Moving picture (select to hide)</summary>'
        f'<div class="picture"><picture>{still}{moving}</picture></div></details>{caption}</figure>'
    )


def _flat(entries: Mapping, prefix: str = "") -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for name, value in entries.items():
        nested = isinstance(value, Mapping)
        pairs += _flat(value, f"{prefix}{name}.") if nested else [(f"{prefix}{name}", value)]
    return pairs


def _value(value: Any) -> str:
    if isinstance(value, list | tuple | np.ndarray):
        return ", ".join(_value(item) for item in value) or "–"
    if value is None or isinstance(value, bool | np.bool_):
        return spelled_column((value,))[0]
    return str(value.item() if isinstance(value, np.generic) else value)


def _facts(block: Facts) -> str:
    rows = (f"<dt>{_plain(name)}</dt><dd>{_inline(_value(value))}</dd>" for name, value in _flat(block.entries))
    return f"<dl>{''.join(rows)}</dl>"


def _verdict(block: Verdict) -> str:
    label = _inline(block.label or _VERDICTS[block.kind])
    return f'<p class="verdict {block.kind}"><strong>{label}</strong> {_inline(block.text)}</p>'


_RENDERERS: dict[type, Callable[[Any], str]] = {
    Paragraph: lambda block: f"<p>{_inline(block.text)}</p>",
    Subheading: lambda block: f"<h3>{_inline(block.text)}</h3>",
    Items: lambda block: f"<ul>{''.join(f'<li>{_inline(text)}</li>' for text in block.texts)}</ul>",
    Code: lambda block: f'<pre tabindex="0"><code>{_plain(block.text)}</code></pre>',
    Figure: _figure,
    Animation: _animation,
    Facts: _facts,
    Verdict: _verdict,
}


def _slugs(headings: list[str]) -> list[str]:
    slugs: list[str] = []
    for heading in headings:
        stem = re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-") or "section"
        # Section names end in a letter or number and table names begin with "table--": they never meet.
        slugs.append(next(s for k in count(1) if (s := stem if k == 1 else f"{stem}-{k}") not in slugs))
    return slugs


def _section(section: Section, slug: str) -> str:
    blocks = [
        _table(block, f"table--{slug}-{k}") if isinstance(block, Table) else _RENDERERS[type(block)](block)
        for k, block in enumerate(section.blocks)
    ]
    heading = f'<h2 id="{slug}">{_inline(section.heading)}</h2>'
    return f'<section aria-labelledby="{slug}">\n{heading}\n' + "\n".join(blocks) + "\n</section>"


def _provenance(entries: Mapping[str, Any]) -> Section:
    rest = {name: value for name, value in entries.items() if name != "command"}
    command = (Code(str(entries["command"])),) if entries.get("command") else ()
    return Section("How this was made", (*command, Facts(rest)))


def render(report: Report) -> str:
    """The page of ``report``: a whole, deterministic HTML document, to be written as UTF-8.

    Its last section, "How this was made", holds the provenance (its ``command`` entry first, as code).
    """
    sections = (*report.sections, *((_provenance(report.provenance),) if report.provenance else ()))
    slugs = _slugs([section.heading for section in sections])
    links = "".join(
        f'<li><a href="#{slug}">{_inline(section.heading)}</a></li>' for section, slug in zip(sections, slugs)
    )
    contents = f'<nav aria-label="Contents"><p>Contents</p><ol>{links}</ol></nav>' if len(sections) > 2 else ""
    lead = "".join(f"<p>{_inline(text)}</p>" for text in report.lead)
    body = "\n".join(_section(section, slug) for section, slug in zip(sections, slugs))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<link rel="icon" href="data:,">
<title>{_plain(report.title)}</title>
<style>{STYLE}</style>
</head>
<body>
<div class="page{" with-contents" if contents else ""}">
<header><h1>{_inline(report.title)}</h1><div class="lead">{lead}</div></header>
{contents}
<main>
{body}
</main>
</div>
</body>
</html>
"""
