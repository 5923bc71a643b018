"""CSV files, good and bad: what is read is what is there, and what cannot be used is said with its line."""

import gzip
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmworld_jax.entities.columns import parse_csv, read_csv
from llmworld_jax.entities.sources import EntityOptions, load_entities
from llmworld_jax.entities.years import labels, number, years
from llmworld_jax.errors import InputError


def said(path, options=None) -> str:
    with pytest.raises(InputError) as caught:
        load_entities(path, options or EntityOptions())
    return str(caught.value)


# ---------------------------------------------------------------- bytes to columns


def test_a_file_is_columns_of_text_with_the_lines_rows_begin_on():
    data = b'name,zip\r\n"A, the ""first"""," 00501 "\r\n\r\n"B\nbelow",2\r\nC,3\r\n'
    columns = parse_csv("x.csv", data)
    assert columns.text == {"name": ('A, the "first"', "B\nbelow", "C"), "zip": ("00501", "2", "3")}
    assert columns.lines.tolist() == [2, 4, 6]


def test_compressed_or_not_with_a_byte_order_mark_or_not(tmp_path):
    text = "name,place\nZürich,8\n"
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(text.encode()))
    marked, packed = read_csv(tmp_path / "a.csv"), read_csv(tmp_path / "a.csv.gz")
    assert marked.text == packed.text == {"name": ("Zürich",), "place": ("8",)}


@pytest.mark.parametrize(
    ("encoding", "guess"),
    [("cp1252", "WINDOWS-1252"), ("utf-16", "UTF-16"), ("utf-16-le", "UTF-16LE"), ("utf-16-be", "UTF-16BE")],
)
def test_another_encoding_is_named_with_its_first_byte_and_the_way_out(tmp_path, encoding, guess):
    data = "name,x\nBern,1\nZürich,2\n".encode(encoding)
    (tmp_path / "towns.csv").write_bytes(data)
    with pytest.raises(InputError) as caught:
        read_csv(tmp_path / "towns.csv")
    message = str(caught.value)
    assert f"iconv -f {guess} -t UTF-8 towns.csv" in message
    if encoding == "cp1252":
        assert f"byte {data.index(0xFC)} is 0xfc, in line 3" in message


def test_the_place_of_a_bad_byte_counts_the_byte_order_mark():
    data = b"\xef\xbb\xbfname,x\nZ\xfcrich,1\n"
    with pytest.raises(InputError, match=f"byte {data.index(0xFC)} is 0xfc, in line 2"):
        parse_csv("x.csv", data)


def test_other_bad_files(tmp_path):
    cases = {
        b"": "0 lines that are not blank",
        b"name,x\n": "1 lines that are not blank",
        b"name;x\nA;1\n": "Put commas in place of ';'",
        b"name,x,name\nA,1,B\n": "two columns called name",
        b"name,x\nA,1\nB\nC,1,2\n": "line 3 has 1; line 4 has 3",
        b'name,x\n"A,1\n': "line 2: unexpected end of data",
    }
    for data, message in cases.items():
        with pytest.raises(InputError, match=message):
            parse_csv("x.csv", data)
    (tmp_path / "a.csv.gz").write_bytes(b"name,x\nA,1\n")
    with pytest.raises(InputError, match="is not whole gzip"):
        read_csv(tmp_path / "a.csv.gz")
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(b"name,x\n" * 99)[:-9])
    with pytest.raises(InputError, match="is not whole gzip"):
        read_csv(tmp_path / "b.csv.gz")
    with pytest.raises(InputError, match="is no file"):
        read_csv(tmp_path / "c.csv")


# ---------------------------------------------------------------- text to years


@given(day=st.dates(date(1, 1, 1), date(9999, 12, 31)))
def test_a_date_is_its_days_since_1970(day):
    found = years([day.isoformat()])
    assert found.fractional[0] == pytest.approx(1970 + (day - date(1970, 1, 1)).days / 365.25, abs=1e-9)
    assert found.calendar[0] == day.year


def test_years_are_what_they_say_and_other_text_is_nothing():
    texts = [
        "-44",
        "1986",
        "2000-01-01",
        "2016-07-19T17:25:00+0000",
        "1986-09",
        "1986-02-30",
        "1986-13",
        "soon",
        "",
        "nan",
    ]
    found = years(texts)
    np.testing.assert_allclose(found.fractional[:3], [-44, 1986, 2000 - 0.5 / 365.25])
    assert found.calendar[:5].tolist() == [-44, 1986, 2000, 2016, 1986]
    assert np.isnan(found.fractional[5:]).all()


def test_a_new_years_day_belongs_to_its_own_decade():
    """Its fractional year is 1999.9986, which a label of the target would put into the nineties."""
    assert labels(years(["2000-01-01", "1999-12-31"]).calendar, 10).tolist() == ["2000", "1990"]
    assert labels(np.array([-330.0, -300.0, -1.0, 0.0, 99.0]), 100).tolist() == ["-400", "-300", "-100", "0", "0"]


@pytest.mark.parametrize("text", ["1_000", "1,000", "inf", "nan", "1e999", "٣", "0x1", "", "1 2"])
def test_what_is_no_number_here(text):
    assert np.isnan(number(text))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_is_read_back(value):
    assert number(repr(value)) == value


# ---------------------------------------------------------------- columns to a table


def test_a_users_places(write_csv, towns):
    table = load_entities(write_csv(towns), EntityOptions(group=("land",), licence="mine"))
    assert (table.key, table.kind, table.licence, table.held_out) == ("towns", "place", "mine", None)
    assert table.target_names == ("longitude", "latitude")
    assert table.units == ("degrees", "degrees")
    np.testing.assert_array_equal(table.targets, [[3 * i, i - 30] for i in range(60)])
    assert table.groups["land"].tolist() == ["AB"[i % 2] for i in range(60)]
    assert table.rows.tolist() == list(range(2, 62))


def test_a_place_has_longitude_first_whatever_its_columns_are_called_and_in_whichever_order(write_csv, towns):
    renamed = [{"name": t["name"], "Lat": t["latitude"], "lng": t["longitude"]} for t in towns]
    found = load_entities(write_csv(renamed), EntityOptions())
    asked = load_entities(write_csv(towns), EntityOptions(target=("latitude", "longitude")))
    np.testing.assert_array_equal(found.targets, asked.targets)
    assert found.target_names == asked.target_names == ("longitude", "latitude")


@pytest.mark.parametrize(
    ("column", "values", "unit", "kind", "units"),
    [
        ("death_year", "1900", (), "time", ("years",)),
        ("published", "1999-12-31", (), "time", ("years",)),
        ("published", "1999", ("years",), "time", ("years",)),
        ("published", "1999", (), "number", ("",)),
        ("height", "12.5", ("m",), "number", ("m",)),
    ],
)
def test_which_targets_are_times(write_csv, towns, column, values, unit, kind, units):
    rows = [{"name": town["name"], column: values} for town in towns]
    table = load_entities(write_csv(rows), EntityOptions(target=(column,), unit=unit))
    assert (table.kind, table.units) == (kind, units)
    assert set(table.groups) == ({"decade", "century"} if kind == "time" else set())


def test_two_numbers_can_be_predicted_at_once(write_csv, towns):
    table = load_entities(write_csv(towns), EntityOptions(target=("year", "latitude"), unit=("a", "b")))
    assert (table.kind, table.target_names, table.units) == ("number", ("year", "latitude"), ("a", "b"))
    np.testing.assert_array_equal(table.targets, [[1900 + i, i - 30] for i in range(60)])


def test_what_cannot_be_understood_names_the_columns_there_are(write_csv, towns):
    timeless = [{"name": town["name"], "year": town["year"]} for town in towns]
    path = write_csv(timeless)
    assert "its columns are name, year" in said(path)
    assert "--target" in said(path)
    assert "without a column height; its columns are name, year" in said(path, EntityOptions(target=("height",)))
    assert "without a column title" in said(path, EntityOptions(target=("year",), name_column="title"))
    assert "without a column land" in said(path, EntityOptions(target=("year",), group=("land",)))
    assert "without a column is_test" in said(path, EntityOptions(target=("year",), split_column="is_test"))
    assert "2 units" in said(path, EntityOptions(target=("year",), unit=("years", "m")))
    path = write_csv(towns)
    assert "degrees" in said(path, EntityOptions(target=("latitude", "longitude"), unit=("radians", "radians")))


BAD = {
    3: ({"latitude": ""}, "latitude ''"),
    5: ({"latitude": "north"}, "latitude 'north'"),
    8: ({"latitude": "-90.5"}, "latitude '-90.5'"),
    9: ({"longitude": "181"}, "longitude '181'"),
    11: ({"longitude": "nan"}, "longitude 'nan'"),
    20: ({"name": "  "}, "no name"),
    21: ({"land": " "}, "no land"),
}


def test_rows_that_cannot_be_used_are_listed_with_their_lines(write_csv, towns):
    rows = [row | BAD.get(i, ({}, ""))[0] for i, row in enumerate(towns)]
    path, options = write_csv(rows), EntityOptions(group=("land",))
    message = said(path, options)
    assert "7 rows of towns.csv that cannot be used" in message
    assert [part for i, (_, part) in BAD.items() if f"line {i + 2}: {part}" not in message] == []
    assert "--drop-bad-rows" in message
    table = load_entities(path, EntityOptions(group=("land",), drop_bad=True))
    assert table.rows.tolist() == [i + 2 for i in range(60) if i not in BAD]
    assert table.faults == ("7 rows that cannot be used were left out",)


def test_a_date_that_is_none_is_listed(write_csv, towns):
    rows = [{"name": town["name"], "date": "1999-02-29" if i == 7 else "1996-02-29"} for i, town in enumerate(towns)]
    assert "1 rows of towns.csv that cannot be used: line 9: date '1999-02-29'" in said(
        write_csv(rows), EntityOptions(target=("date",))
    )


def test_the_first_ten_of_many(write_csv, towns):
    message = said(write_csv([row | {"latitude": "x"} for row in towns]))
    assert "60 rows" in message
    assert "line 11" in message
    assert "line 12" not in message
    assert "and 50 more" in message


@pytest.mark.parametrize("count", [1, 49])
def test_too_few_rows(write_csv, towns, count):
    assert f"{count} entities in towns. Expected at least 50" in said(write_csv(towns[:count]))


def test_conditions_keep_rows(write_csv, towns):
    rows = [row | {"land": "ABBB"[i % 4]} for i, row in enumerate(towns + towns)]
    table = load_entities(write_csv(rows), EntityOptions(where=("land=B",)))
    assert len(table) == 90
    assert table.faults == ("only rows with land=B",)
    assert "no row with land=C. Expected one of A; B" in said(write_csv(rows), EntityOptions(where=("land=C",)))
    assert "the condition 'land'" in said(write_csv(rows), EntityOptions(where=("land",)))


@pytest.mark.parametrize(("yes", "no"), [("True", "False"), ("1", "0"), ("test", "train")])
def test_the_files_split(write_csv, towns, yes, no):
    rows = [row | {"split": yes if i % 5 == 0 else no} for i, row in enumerate(towns)]
    held_out = load_entities(write_csv(rows), EntityOptions(split_column="split")).held_out
    np.testing.assert_array_equal(held_out, np.arange(60) % 5 == 0)


def test_a_split_that_is_none(write_csv, towns):
    rows = [row | {"split": ["train", "test", "dev"][i % 3]} for i, row in enumerate(towns)]
    assert "with also 'dev'" in said(write_csv(rows), EntityOptions(split_column="split"))
    rows = [row | {"split": "train"} for row in towns]
    assert "one side only" in said(write_csv(rows), EntityOptions(split_column="split"))


def test_texts_on_both_sides_of_the_split(write_csv, towns):
    """Twins differ in letter case and white space only; a twin on the same side does no harm."""
    twins = {0: "TOWN  1", 10: "town 11", 20: "Town 25"}
    rows = [row | {"name": twins.get(i, row["name"]), "t": str(i % 5 == 0)} for i, row in enumerate(towns)]
    path = write_csv(rows)
    message = said(path, EntityOptions(split_column="t"))
    assert "2 test rows of towns whose text is in the training rows too" in message
    assert "line 2 ('TOWN 1'); line 12 ('town 11')" in message
    assert "duplicates='drop_test'" in message
    dropped = load_entities(path, EntityOptions(split_column="t", duplicates="drop_test"))
    assert dropped.rows.tolist() == [i + 2 for i in range(60) if i not in (0, 10)]
    assert len(load_entities(path, EntityOptions(split_column="t", duplicates="keep"))) == 60
    assert len(load_entities(path)) == 60
