"""Lists with all their columns: nothing that somebody wrote about a target is lost."""

import csv
import io

import pytest
from hypothesis import given, settings, strategies as st

from probe import list_table, targets
from probe.list_table import ListTable
from probe.target_rows import COLUMNS, ROW_LINES
from probe.urls import TargetError

HEAD = ",".join(COLUMNS)


def read(text: str | bytes, source: str = "my.csv") -> ListTable:
    data = text if isinstance(text, bytes) else text.encode()
    table, problems = list_table.read(data, source)
    assert list(problems) == []
    return table


def test_citizen_labs_columns_and_unknown_ones_are_kept() -> None:
    text = (
        f"{HEAD},Risk\n"
        'https://a.example/,NEWS,News Media,2024-02-30,me,"two\nlines, and “quotes”",high\n'
        "https://b.example/,,,,,,\n"
    )
    assert read(text).as_csv() == text


def test_columns_come_in_citizen_labs_order_whatever_the_format() -> None:
    row = {"url": "https://a.example/", "category_code": "NEWS", "notes": "n"}
    toml = '[[target]]\nnote = "n"\nurl = "https://a.example/"\ncategory = "NEWS"\n'
    for text in (toml, "Note;URL;Category\nn;https://a.example/;NEWS\n"):
        table = read(text)
        assert table.columns == COLUMNS
        assert table.rows == (row,)
    assert read("https://a.example/\n").rows == ({"url": "https://a.example/"},)


def test_cells_without_a_column_and_columns_without_a_name_are_kept() -> None:
    table = read("url,notes,,notes\nhttps://a.example/,1,2,3,4\n")
    cells = {"url": "https://a.example/", "notes": "1", "column 3": "2"}
    assert table.rows == (cells | {"notes 4": "3", "column 5": "4"},)


def test_the_first_row_about_an_address_stays_and_others_fill_its_empty_cells() -> None:
    mine = read(f"{HEAD}\nhttps://a.example/,,,,,mine\n")
    theirs = read("url,category_code,notes,own\nHTTPS://A.example,NEWS,theirs,x\n")
    assert list_table.merged([mine, theirs]).as_csv() == (
        f"{HEAD},own\nhttps://a.example/,NEWS,,,,mine,x\n"
    )


def test_a_line_of_a_note_may_be_an_address() -> None:
    note = "see\nhttps://x.example/\nand http://y.example/"
    made = ListTable(COLUMNS, ({"url": "https://a.example/", "notes": note},))
    assert read(made.as_csv()).rows[0]["notes"] == note


def test_bytes_that_are_no_text_stay_what_they_are() -> None:
    data = HEAD.encode() + b"\nhttps://a.example/,,,,,a\xff\x80b\n"
    assert read(data).as_csv().encode("utf-8", "surrogateescape") == data


def test_letters_of_western_languages_are_no_windows_1251() -> None:
    text = f"{HEAD}\nhttps://a.example/,,,,,èøèø\n"
    assert read(text).as_csv() == text


def test_invalid_rows_are_named_and_left_out() -> None:
    table, problems = list_table.read(f"{HEAD}\nftp://a/,,,,,n\nhttps://b.example/\n".encode(), "f")
    assert [row["url"] for row in table.rows] == ["https://b.example/"]
    assert [(one.file, one.line) for one in problems] == [("f", 2)]


# Line breaks of other systems become our own; a list of this many lines a row is cut elsewhere.
_CHARACTERS = st.characters(exclude_characters="\r\0", exclude_categories=["Cs"])
_TEXT = st.text(_CHARACTERS, max_size=60).filter(lambda text: text.count("\n") < ROW_LINES // 12)
_UNKNOWN = st.text(st.sampled_from("abcXYZ -_éы"), min_size=1, max_size=12).map(str.strip)


@given(
    st.lists(st.tuples(*([_TEXT] * (len(COLUMNS) - 1)), _TEXT, _TEXT), min_size=1, max_size=5),
    st.lists(
        _UNKNOWN.filter(lambda name: name and name.lower() not in {*COLUMNS, "note", "category"}),
        min_size=2,
        max_size=2,
        unique_by=str.lower,
    ),
)
@settings(max_examples=300, deadline=None)
def test_every_text_in_every_column_survives(
    texts: list[tuple[str, ...]], unknown: list[str]
) -> None:
    names = (*COLUMNS, *unknown)
    rows = [(f"https://{n}.example/", *cells) for n, cells in enumerate(texts)]
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([names, *rows])
    once = read(out.getvalue())
    assert once.columns == names
    assert [tuple(row.get(name, "") for name in names) for row in once.rows] == rows
    twice = read(once.as_csv())
    assert twice == once
    assert list_table.merged([once, twice]) == once
    # What a run reads from it are the same targets.
    urls = [target.url for target in targets.parse(once.as_csv(), "my.csv")[0]]
    assert urls == [row[0] for row in rows]


@given(st.binary(max_size=400))
@settings(max_examples=200, deadline=None)
def test_any_bytes_give_a_table_or_one_error(data: bytes) -> None:
    try:
        table, _problems = list_table.read(data, "f")
    except TargetError:
        return
    assert list_table.read(table.as_csv().encode("utf-8", "surrogateescape"), "f")[0].rows == (
        table.rows
    )


@pytest.mark.parametrize("name", targets.list_names())
def test_bundled_lists_keep_their_columns(name: str) -> None:
    table = read(targets.body(name), name)
    assert len(table.rows) == len(targets.bundled(name)[0])
    head = targets.body(name).decode().partition("\n")[0].split(",")
    assert set(head) <= set(table.columns)
