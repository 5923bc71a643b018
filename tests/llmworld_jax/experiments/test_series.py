"""Delimited text to one column of numbers, and what is said of text that is not."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmworld_jax.errors import InputError
from llmworld_jax.experiments.series import read_series


def file_of(text: str, encoding: str = "utf-8") -> Path:
    """A file in the test's own folder."""
    path = Path("series.csv")
    path.write_bytes(text.encode(encoding))
    return path


def refusal(path: Path, column: str | None = None) -> InputError:
    with pytest.raises(InputError) as caught:
        read_series(path, column)
    return caught.value


@pytest.mark.parametrize("mark", [",", ";", "\t", " ", ", ", "   "])
@pytest.mark.parametrize("header", [("day", "level"), None])
def test_every_delimiter_with_and_without_a_header(mark, header):
    rows = [(1, 2.5), (2, -3e-2), (3, 4)]
    lines = [mark.join(map(str, row)) for row in ((header, *rows) if header else rows)]
    path = file_of("\n".join(lines))
    values, name = read_series(path, header[1] if header else "1")
    np.testing.assert_array_equal(values, [2.5, -0.03, 4.0])
    assert values.dtype == np.float64
    assert name == ("level" if header else "1")


@pytest.mark.parametrize(
    ("text", "expected", "name"),
    [
        ("1\n2\n3\n", [1, 2, 3], "0"),
        ("level\n1\n2\n", [1, 2], "level"),
        ("sea level in mm\n1\n2\n", [1, 2], "sea level in mm"),
        ('"x"\n"1"\n"2"\n', [1, 2], "x"),
        ("\n\n1\r\n\r\n2\r\n", [1, 2], "0"),
        ("\ufefflevel\n1\n2", [1, 2], "level"),
        ("\ufeff1\n2", [1, 2], "0"),
    ],
)
def test_a_single_column_needs_no_name(text, expected, name):
    values, found = read_series(file_of(text))
    np.testing.assert_array_equal(values, expected)
    assert found == name


def test_quoted_cells_may_hold_the_delimiter():
    path = file_of('"a, b",level\n"1, 2",3\n"x",4\n')
    np.testing.assert_array_equal(read_series(path, "level")[0], [3, 4])
    assert read_series(path, "1")[1] == "level"


def test_a_name_comes_before_a_place_and_a_place_counts_from_0():
    path = file_of("b,a\n5,6\n8,9\n")
    np.testing.assert_array_equal(read_series(path, "a")[0], [6, 9])
    np.testing.assert_array_equal(read_series(path, "0")[0], [5, 8])


def test_a_first_line_with_a_number_in_it_is_a_row():
    assert "'a' in line 1" in refusal(file_of("0,a\n5,6\n"), "1").got


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=2), min_size=2),
    st.sampled_from([",", ";", "\t", " "]),
    st.booleans(),
)
def test_what_is_written_is_read_back_to_the_last_bit(rows, mark, header):
    path = Path("property.csv")
    lines = [mark.join(map(repr, row)) for row in rows]
    path.write_text("\n".join([mark.join(["first", "second"])] * header + lines))
    for place in (0, 1):
        np.testing.assert_array_equal(read_series(path, str(place))[0], [row[place] for row in rows])


def test_a_missing_file_a_folder_and_an_empty_file():
    assert "no file at nothing.csv" in str(refusal(Path("nothing.csv")))
    assert "no file at" in str(refusal(Path()))
    for text in ("", "\n \n\t\n", "\ufeff"):
        assert "empty" in refusal(file_of(text)).got
    assert "no rows under the header" in refusal(file_of("level\n")).got


def test_a_file_that_is_not_utf8_text():
    error = refusal(file_of("°C\n1\n2\n", encoding="utf-16"))
    assert "cannot be read as text" in error.got
    assert "UTF-8" in error.remedy


def test_cells_that_are_no_numbers_are_listed_with_their_lines():
    text = "day,level\n\n1,2\n2,two\n3,\n4\n5,1e400\n6,nan\n7,-inf\n8,9\n"
    error = refusal(file_of(text), "level")
    expected = ("'two' in line 4", "nothing in line 5", "nothing in line 6", "'1e400' in line 7", "'nan' in line 8")
    assert all(part in error.got for part in (*expected, "and 1 more", "column level"))
    assert "line 3" not in error.got
    assert "line 10" not in error.got


def test_a_column_that_is_not_there():
    path = file_of("day,level\n1,2\n2,3\n")
    for column in ("depth", "2", "-1", "1.0", "²"):
        error = refusal(path, column)
        assert f"--column {column}" in error.got
        assert "day, level" in error.expected
    error = refusal(file_of("day,x,x\n1,2,3\n2,3,4\n"), "x")
    assert "several times" in error.got
    assert read_series(Path("series.csv"), "2")[0].tolist() == [3, 4]


def test_several_columns_need_a_name():
    for text in ("day,level\n1,2\n2,3\n", "1 2\n3 4\n"):
        error = refusal(file_of(text))
        assert "2 columns" in error.got
        assert "--column" in error.remedy


def test_decimal_commas_are_not_taken_for_delimiters():
    """Whole parts alone would be a plausible series and a wrong one."""
    error = refusal(file_of("day;level\n1,5;2,5\n3,5;4,5\n"), "level")
    assert "'2,5' in line 2" in error.got
    assert "'3,5' in line 2" in refusal(file_of("1,5;2,5\n3,5;4,5\n"), "0").got
    assert "2 columns" in refusal(file_of("1,5\n2,5\n")).got


def test_ragged_rows_are_read_where_they_have_the_column():
    path = file_of("a;b\n1;2\n3;4;5\n6;7\n")
    np.testing.assert_array_equal(read_series(path, "b")[0], [2, 4, 7])
    assert "nothing in line 2" in refusal(file_of("a,b,c\n1,2\n3,4,5\n"), "c").got
