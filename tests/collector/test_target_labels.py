"""Lists that a collector serves: Citizen Lab's columns as they are, and no others."""

from pathlib import Path

from collector import target_labels

HEAD = "url,category_code,category_description,date_added,source,notes"


def test_citizen_labs_columns_are_served_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "kz.csv"
    row = 'https://a.example/,NEWS,News Media,2024-01-02,me,"two\nlines"'
    file.write_text(f"{HEAD},phone of the editor\n{row},+7 000\nftp://b/,,,,,,\n")
    labels, complaints = target_labels.load([str(file)])
    assert [one.partition("kz.csv")[2][:3] for one in complaints] == [":4:"]
    for name in ("kz", ""):
        served = labels.text(name)
        assert served is not None
        # Other columns of an operator's file are not meant for everybody.
        assert served[0] == f"{HEAD},purpose\n{row},\n"


def test_a_plain_list_and_the_bundled_ones_are_served(tmp_path: Path) -> None:
    file = tmp_path / "plain.txt"
    file.write_text("https://a.example\n")
    labels, _ = target_labels.load([str(file), "kz"])
    plain, kz = labels.text("plain"), labels.text("kz")
    assert plain is not None
    assert plain[0] == f"{HEAD},purpose\nhttps://a.example,,,,,,\n"
    assert kz is not None
    assert "mitm-candidate" in kz[0]
    assert "Citizen Lab list" in kz[0]
