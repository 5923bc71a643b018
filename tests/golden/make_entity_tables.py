"""The tables of entities that come with the package, cut from longer ones.

``python tests/golden/make_entity_tables.py FOLDER`` reads six ``.csv.gz`` files in FOLDER and rewrites
``llmworld_jax/entities/tables/*.csv.gz``. What each function drops or changes is said in its docstring, and to the
user in ``llmworld_jax/entities/embedded.py``; where the longer tables come from, in ``tables/LICENCES.md``.
"""

import csv
import gzip
import io
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

TABLES = Path(__file__).resolve().parents[2] / "llmworld_jax" / "entities" / "tables"
MOST_DIRECTORS = 4
Row = dict[str, str]


def world_cities(rows: list[Row]) -> Iterable[Row]:
    """Every row; population as a whole number."""
    for row in rows:
        yield {**_place(row), "country": row["countrycode"], "population": _whole(row["population"])}


def us_cities(rows: list[Row]) -> Iterable[Row]:
    """Every row; population as a whole number."""
    for row in rows:
        yield {**_place(row), "state": row["admin1code"], "population": _whole(row["population"])}


def historical_figures(rows: list[Row]) -> Iterable[Row]:
    """Every row, without aliases and WordNet's number."""
    for row in rows:
        yield {key: row[key] for key in ("name", "birth_year", "death_year", "gloss")}


def films(rows: list[Row]) -> Iterable[Row]:
    """Without films of more than four directors (anthologies, one with 41); a title's "(2011 film)" goes.

    Films of several countries have "co-production" for their country.
    """
    for row in rows:
        if row["creator"].count(",") < MOST_DIRECTORS:
            title = re.sub(r" \(\d{4} film\)$", "", row["title"])
            precision = "day" if row["day_precision"] == "True" else "year"
            date = row["release_date"]
            country = "co-production" if "," in row["country"] else row["country"]
            yield {"title": title, "creator": row["creator"], "date": date, "precision": precision, "country": country}


def nyc(rows: list[Row]) -> Iterable[Row]:
    """Every row; coordinates to a tenth of a metre."""
    for row in rows:
        degrees = {key: f"{float(row[key]):.6f}" for key in ("latitude", "longitude")}
        yield {"name": row["name"], **degrees, "kind": row["entity_type"]}


_DATED = re.compile(r",\s+(\d{1,4})\s?(B\.?C\.?)?(?=$|[\s,;.(?)])")
_DATED_AT_THE_END = re.compile(r"[\s(]+(\d{3,4})\s?(B\.?C\.?)?\)?\.?$")
_LOOKS_LIKE_A_YEAR = re.compile(r"(?<![\d,])(1\d{3}|20[0-2]\d)(?!\d)")


def events(rows: list[Row]) -> Iterable[Row]:
    """The year is taken out of the raw line: the last ", 1969", else a year that ends it.

    Dropped: lines without such a year, lines that name another year-like number (it may be the target, and reads
    like one), and lines given twice. TeX quotation marks become plain ones.
    """
    seen = set()
    for row in rows:
        raw = row["raw"]
        found = list(_DATED.finditer(raw)) or list(_DATED_AT_THE_END.finditer(raw))
        if not found:
            continue
        year = int(found[-1][1]) * (-1 if found[-1][2] else 1)
        text = raw[: found[-1].start()] + raw[found[-1].end() :]
        text = " ".join(text.replace("``", '"').replace("''", '"').split()).strip(" ,;?")
        if _LOOKS_LIKE_A_YEAR.search(text) or (text, year) in seen:
            continue
        seen.add((text, year))
        yield {"text": text, "year": str(year), "source": row["source"]}


MADE: dict[str, tuple[str, Callable[[list[Row]], Iterable[Row]]]] = {
    "world_cities": ("geonames_world_top5000", world_cities),
    "us_cities": ("geonames_us_15000", us_cities),
    "historical_figures": ("historical_figure_wordnet30", historical_figures),
    "films": ("films_wikidata_cc0_bokeh", films),
    "nyc": ("nyc_stations_ntas", nyc),
    "events": ("events_bsd_calendar", events),
}


def _place(row: Row) -> Row:
    return {key: row[key] for key in ("name", "latitude", "longitude")}


def _whole(number: str) -> str:
    return str(int(float(number)))


def text_of(rows: Iterable[Row]) -> str:
    """The rows as CSV, with the columns of the first."""
    rows = list(rows)
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def made(folder: Path, name: str) -> str:
    """One table as CSV text."""
    source, make = MADE[name]
    with gzip.open(folder / f"{source}.csv.gz", "rt", encoding="utf-8", newline="") as stream:
        return text_of(make(list(csv.DictReader(stream))))


def main(folder: Path) -> None:
    TABLES.mkdir(exist_ok=True)
    for name in MADE:
        with (TABLES / f"{name}.csv.gz").open("wb") as file:
            # without a time and a file name the bytes depend on the content alone
            with gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
                packed.write(made(folder, name).encode("utf-8"))
            print(f"{name}: {file.tell():,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
