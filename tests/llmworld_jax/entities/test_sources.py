"""The contract of every table that comes with the package, and of the paper's files where they are at hand."""

import csv
import functools
import gzip
import io
import re
import runpy
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from llmworld_jax.content import content_hash
from llmworld_jax.entities.continents import _CODES, CONTINENTS
from llmworld_jax.entities.recipe import EntitySource
from llmworld_jax.entities.sources import ENTITIES, PAPER_FILES, EntityOptions, load_entities
from llmworld_jax.entities.surface import SURFACE_FORMS
from llmworld_jax.entities.table import EntityTable
from llmworld_jax.errors import InputError

ROOT = Path(__file__).resolve().parents[3]
REFERENCE = ROOT.parent / "shared" / "reference" / "entities"
TABLES = resources.files("llmworld_jax.entities") / "tables"
GROUPS = {
    "world_cities": {"country", "continent"},
    "us_cities": {"state"},
    "historical_figures": {"decade", "century"},
    "films": {"country", "creator", "precision", "decade", "century"},
    "nyc": {"kind"},
    "events": {"source", "decade", "century"},
}


SOME_SLOW = [pytest.param(name, marks=[pytest.mark.slow] * (name == "films")) for name in ENTITIES]
loaded = functools.cache(load_entities)


def reference(name: str) -> Path:
    path = REFERENCE / f"{name}.csv.gz"
    if not path.is_file():
        pytest.skip(f"no {name} beside the checkout")
    return path


def contract(table: EntityTable, source: EntitySource) -> None:
    """What everything downstream relies on."""
    assert table.check() is table
    assert table.kind == source.kind
    assert table.source == source.source != ""
    assert table.licence == source.licence != ""
    assert table.faults
    assert all(text == " ".join(text.split()) != "" for text in (*table.names, *table.texts))
    assert table.targets.dtype == np.float64
    assert {"place": ("degrees", "degrees"), "time": ("years",)}[table.kind] == table.units
    assert all(1 < len(np.unique(group)) < len(table) for group in table.groups.values())
    assert np.all(np.diff(table.rows) > 0)
    if table.kind == "time":
        assert table.targets.min() > -2000
        assert table.targets.max() < 2026
        decade, year = table.groups["decade"].astype(int), table.targets[:, 0]
        assert np.all((year > decade - 0.01) & (year < decade + 10.01))
        assert all(int(c) == 100 * (int(d) // 100) for c, d in zip(table.groups["century"], table.groups["decade"]))


@pytest.mark.parametrize("name", ENTITIES)
def test_an_embedded_table_is_as_promised(name):
    table = loaded(name)
    contract(table, ENTITIES[name])
    assert table.key == name
    assert table.held_out is None
    assert set(table.groups) == GROUPS[name]
    assert all(label for group in table.groups.values() for label in group)


@pytest.mark.parametrize("name", SOME_SLOW)
def test_a_table_is_the_same_at_every_reading(name):
    assert content_hash(loaded(name)) == content_hash(load_entities(name))


@pytest.mark.parametrize("name", ENTITIES)
def test_a_source_is_described_by_its_own_file(name):
    """Its columns are there, and LICENCES.md gives its rows and its notice."""
    packed = (TABLES / f"{name}.csv.gz").read_bytes()
    rows = list(csv.DictReader(io.StringIO(gzip.decompress(packed).decode("utf-8"), newline="")))
    source = ENTITIES[name]
    assert len(packed) < 480_000
    assert packed[4:8] == bytes(4), "the time of making is in the file"
    assert set(source.columns) <= set(rows[0])
    assert source.surface in SURFACE_FORMS
    notices = (TABLES / "LICENCES.md").read_text("utf-8")
    assert f"| `{name}` | {len(rows):,} |" in notices
    assert re.search(rf"^## .*\b{name}\b", notices, re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize("name", ENTITIES)
def test_the_script_makes_the_tables(name):
    reference("films_wikidata_cc0_bokeh")
    made = runpy.run_path(str(ROOT / "tests/golden/make_entity_tables.py"))["made"](REFERENCE, name)
    assert gzip.decompress((TABLES / f"{name}.csv.gz").read_bytes()).decode("utf-8") == made


def test_every_country_has_a_continent():
    table = loaded("world_cities")
    assert {str(code) for code in table.groups["country"]} <= set(CONTINENTS)
    assert len(set(CONTINENTS.values())) == 7
    assert sum(len(codes.split()) for codes in _CODES.values()) == len(CONTINENTS), "a country on two continents"
    some = {
        "CN": "Asia",
        "BR": "South America",
        "EG": "Africa",
        "NZ": "Oceania",
        "MX": "North America",
        "AQ": "Antarctica",
    }
    assert {code: CONTINENTS[code] for code in some} == some
    # Europe's cities lie north and east of these lines, islands included; South America's south and west
    longitude, latitude = table.targets.T
    assert latitude[table.groups["continent"] == "Europe"].min() > 27
    assert longitude[table.groups["continent"] == "South America"].max() < -34


@pytest.mark.parametrize(
    ("table", "name", "target"),
    [
        ("world_cities", "Nairobi", [36.82, -1.28]),
        ("us_cities", "Denver", [-104.98, 39.74]),
        ("historical_figures", "Alvar Aalto", [1976]),
        ("films", "We Live in Public", [2009 + 18 / 365.25]),
        ("nyc", "Harlem-148 St", [-73.937, 40.824]),
        ("events", "Magna Carta signed", [1215]),
    ],
)
def test_a_fact_of_each(table, name, target):
    found = loaded(table)
    np.testing.assert_allclose(found.targets[found.names.index(name)], target, atol=0.06)


def test_the_faults_figures():
    """Where a fault gives a number, the table bears it out."""
    figures, films, events = map(loaded, ("historical_figures", "films", "events"))
    century = figures.groups["century"]
    assert (century == "1900").mean() == pytest.approx(0.54, abs=0.005)
    assert (century == "1800").mean() == pytest.approx(0.20, abs=0.005)
    repeated = [name for name in set(figures.names) if figures.names.count(name) > 1]
    assert len(repeated) == 20
    assert (films.groups["precision"] == "year").mean() == pytest.approx(2 / 3, abs=0.02)
    assert (films.groups["creator"] == "unknown").sum() == 66
    assert np.median(events.targets) == 1916
    assert (events.targets < 1000).sum() == 18
    cities = loaded("world_cities").groups["country"]
    assert np.isin(cities, ["CN", "IN", "BR"]).mean() == pytest.approx(0.26, abs=0.01)


def test_no_event_tells_its_year():
    """The text is read by the model, so a year in it would be the answer."""
    table = loaded("events")
    told = [text for text in table.texts if re.search(r"(?<![\d,])(1\d{3}|20[0-2]\d)(?!\d)", text)]
    assert told == []


def test_another_target_of_a_known_table():
    born = load_entities("historical_figures", EntityOptions(target=("birth_year",)))
    died = loaded("historical_figures")
    assert born.kind == "time"
    assert np.median(died.targets - born.targets) == pytest.approx(70, abs=5)


def test_a_name_that_is_nothing(tmp_path):
    with pytest.raises(InputError, match=r"neither a table nor a file. Expected one of world_cities"):
        load_entities("world_citys")


# ---------------------------------------------------------------- the paper's files


@pytest.mark.slow
@pytest.mark.parametrize("name", PAPER_FILES)
def test_a_paper_file_is_as_promised(name):
    table = load_entities(reference(name))
    contract(table, PAPER_FILES[name])
    assert table.held_out is not None
    assert table.held_out.mean() == pytest.approx(0.2, abs=0.01)
    train = {text.casefold() for text, out in zip(table.texts, table.held_out) if not out}
    assert not train & {text.casefold() for text, out in zip(table.texts, table.held_out) if out}


@pytest.mark.slow
def test_zip_codes_come_when_asked_for():
    path = reference("us_place")
    without, everything = load_entities(path), load_entities(path, EntityOptions(zips=True, duplicates="keep"))
    assert "zip" not in without.groups["kind"]
    assert len(everything) == 29_997
    assert (everything.groups["kind"] == "zip").sum() == 12_533
    assert any("12,533 rows with entity_type=zip" in fault for fault in without.faults)
    zips = [name for name, kind in zip(everything.names, everything.groups["kind"]) if kind == "zip"]
    assert all(re.fullmatch(r"\d{5}", name) for name in zips)
    assert any(name.startswith("0") for name in zips)


def paper_rows(name: str) -> list[dict]:
    """Sixty rows with the columns of a paper's file, whatever they hold."""
    source = PAPER_FILES[name]
    rows = []
    for i in range(60):
        row = {column: f"{column} {i}" for column in source.columns} | {"is_test": str(i % 5 == 0)}
        row |= dict.fromkeys(source.target, f"{i - 30}" if source.kind == "place" else f"{1950 + i}-01-01")
        rows.append(row)
    return rows


@pytest.mark.parametrize("name", PAPER_FILES)
def test_a_paper_file_is_recognised_by_its_name_and_columns(write_csv, name):
    table = load_entities(write_csv(paper_rows(name), f"{name}.csv"))
    assert table.source == PAPER_FILES[name].source
    assert table.held_out is not None
    assert table.held_out.sum() == 12
    path = write_csv([{"name": f"Town {i}", "lat": f"{i}", "lon": f"{i}"} for i in range(60)], f"{name}.csv")
    assert load_entities(path).source == f"the user's file {name}.csv"


def test_a_paper_files_names_are_written_as_the_paper_does(write_csv):
    rows = paper_rows("art")
    rows[0] |= {"title": "Help!", "creator": "The Beatles"}
    assert load_entities(write_csv(rows, "art.csv")).texts[0] == "The Beatles' Help!"
    assert load_entities(write_csv(paper_rows("headline"), "headline.csv")).texts[0] == "headline 0."


def test_an_unknown_borough_has_a_label(write_csv):
    rows = paper_rows("nyc_place")
    rows[3]["borough_name"] = ""
    assert load_entities(write_csv(rows, "nyc_place.csv")).groups["borough"][3] == "unknown"
