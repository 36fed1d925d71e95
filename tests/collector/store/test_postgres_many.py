"""Statements for many sets of parameters: which have a form, and what goes into one of them."""

from collector.store import postgres_many
from collector.store.postgres import translated
from collector.store.postgres_many import ManyForm


def _form(name: str, *types: str) -> ManyForm | None:
    text, names = translated()[name]
    return postgres_many.changing(text, types or ["text"] * len(names))


def test_an_insert_takes_arrays() -> None:
    form = _form("batch_body_add", "int8", "bytea")
    assert form is not None
    assert " ".join(form.text.split()) == (
        "INSERT INTO batch_body (seq, body) SELECT sets.p1, sets.p2"
        " FROM unnest($1::int8[], $2::bytea[]) AS sets(p1, p2)"
    )


def test_a_condition_is_asked_of_each_set() -> None:
    form = _form("waiting_add", "int8", "text", "text")
    assert form is not None
    assert "m.id = sets.p3 AND m.key_id = sets.p2" in form.text
    assert form.text.index("FROM unnest") < form.text.index("WHERE NOT EXISTS")
    assert form.text.rstrip().endswith("ON CONFLICT (key_id, id) DO NOTHING")


def test_a_delete_by_one_column_takes_an_array() -> None:
    form = _form("waiting_drop", "int8")
    assert form is not None
    assert form.text == "DELETE FROM waiting WHERE seq = ANY($1::int8[])"


def test_a_row_is_changed_once_in_a_statement() -> None:
    form = _form("meta_put")
    assert form is not None
    sets = [("a", 1), ("b", 2), ("a", 3), ("c", 4), ("a", 5)]
    groups = [list(group) for group in form.groups(sets)]
    assert groups == [[("a", 1), ("b", 2)], [("a", 3), ("c", 4)], [("a", 5)]]
    anything = ManyForm("", ())
    assert list(anything.groups(sets)) == [sets]


def test_what_has_no_form_is_run_for_each_set() -> None:
    for name in (
        "key_seen",
        "waiting_try",
        "lease_take",
        "exclusion_inherit",
        "erase_certificates",
    ):
        assert _form(name) is None, name


def test_every_statement_that_stores_a_record_has_a_form() -> None:
    stored = (
        *("measurement_add", "raw_add", "certificate_add", "served_add", "forged_add"),
        *(
            "observation_add",
            "newest_put",
            "series_add",
            "vote_put",
            "hourly_add",
            "daily_add",
            "total_add",
        ),
        *("timing_add", "waiting_add", "waiting_drop"),
    )
    for name in stored:
        assert _form(name) is not None, name


def test_rows_are_given_to_their_sets() -> None:
    text = postgres_many.asking("SELECT a FROM t WHERE b = $1 AND c = $2", ["text", "int8"])
    assert "b = sets.p1 AND c = sets.p2" in text
    assert text.endswith("ORDER BY sets.nth")
    assert postgres_many.by_set([(1, "x"), (3, "y"), (3, "z")], 3) == [[["x"]], [], [["y"], ["z"]]]
    assert postgres_many.arrays([(1, "a"), (2, "b")]) == [[1, 2], ["a", "b"]]
