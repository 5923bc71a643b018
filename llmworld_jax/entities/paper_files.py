"""The six files of Gurnee and Tegmark (2310.02207), which are not shipped: recognised by their names and columns."""

from .recipe import EntitySource

_COMPILATION = "the compilation: MIT, 2023 Wes Gurnee; upstream: "
_LEAK = "the file's own split; test rows whose text is a training row's too are left out unless duplicates='keep'"

#: By the stem of the file, ``.csv`` or ``.csv.gz``.
PAPER_FILES: dict[str, EntitySource] = {
    "world_place": EntitySource(
        source="Gurnee and Tegmark's world_place: DBpedia places with more than 5,000 page views in 2018-2020",
        licence=_COMPILATION + "DBpedia CC BY-SA 3.0 / GFDL, page views CC0 (neither verified)",
        groups={"country": "country", "kind": "entity_type"},
        surface="world",
        split="is_test",
        duplicates="drop_test",
        faults=(
            _LEAK,
            "Countries are not clean: 365 labels, with England beside United_Kingdom, and a county or two.",
            "Some coordinates are wrong (Rishikesh at 30 N 6 E); 425 rows have whole degrees on both axes.",
            "1,150 rows share their coordinates with another row, 164 such groups across the split.",
            "The United States, the United Kingdom, India and Australia are nearly half of the rows.",
        ),
    ),
    "us_place": EntitySource(
        source="Gurnee and Tegmark's us_place: simplemaps' cities, counties and zip codes, DBpedia's places",
        licence=_COMPILATION + "simplemaps CC BY 4.0 (attribution), DBpedia CC BY-SA 3.0 / GFDL (not verified)",
        groups={"state": "state_name", "kind": "entity_type"},
        split="is_test",
        duplicates="drop_test",
        left_out=("entity_type", "zip"),
        faults=(
            _LEAK,
            "Zip codes (42 % of the file) are digits that follow the map, not names: left out unless asked for.",
            "Some colleges stand two or three times, also across the split.",
            "1,641 names are in world_place too, 503 on the other side of its split.",
        ),
    ),
    "nyc_place": EntitySource(
        source="Gurnee and Tegmark's nyc_place: NYC Open Data, points of interest",
        licence=_COMPILATION + "NYC Open Data (no restriction; not verified)",
        groups={"borough": "borough_name", "kind": "facility_t_name"},
        unknown=("borough",),
        surface="nyc",
        split="is_test",
        duplicates="drop_test",
        faults=(
            _LEAK,
            "Names are capitals and abbreviations; 57 rows have no borough, 4 lie in New Jersey.",
            "The nearest training row of a test row is 88 m away (median): near duplicates leak.",
        ),
    ),
    "historical_figure": EntitySource(
        source="Gurnee and Tegmark's historical_figure: the Age dataset of Annamoradnejad and Annamoradnejad (2022)",
        licence=_COMPILATION + "Wikidata CC0; the dataset's own licence was not verified",
        kind="time",
        target=("death_year",),
        unit=("years",),
        groups={"occupation": "occupation"},
        unknown=("occupation",),
        split="is_test",
        duplicates="drop_test",
        faults=(_LEAK, "Runs from 935 BC to 2021, not from 1000 BC to 2000 as the paper says."),
    ),
    "art": EntitySource(
        source="Gurnee and Tegmark's art: DBpedia songs, films and books after 1949 with more than 5,000 page views",
        licence=_COMPILATION + "DBpedia CC BY-SA 3.0 / GFDL, page views CC0 (neither verified)",
        kind="time",
        name="title",
        target=("release_date",),
        unit=("years",),
        groups={"kind": "entity_type", "creator": "creator"},
        surface="art",
        creator="creator",
        split="is_test",
        duplicates="drop_test",
        faults=(
            _LEAK,
            "The split is by the creators' names as written: 9 % of the test rows share their Wikipedia page with a "
            "training row under another creator.",
            "Dates of covers and re-issues are common; 79 % are songs.",
        ),
    ),
    "headline": EntitySource(
        source="Gurnee and Tegmark's headline: New York Times headlines of 2010 to 2020",
        licence=_COMPILATION + "text copyright The New York Times; no right to redistribute was found",
        kind="time",
        name="headline",
        target=("pub_date",),
        unit=("years",),
        groups={"desk": "news_desk", "year": "year"},
        surface="headline",
        split="is_test",
        duplicates="drop_test",
        faults=(_LEAK, "Held-out desks have negative R² in the paper's own runs while its proximity error is low."),
    ),
}
