"""Owners of addresses from a table in two formats, and unreadable tables."""

import gzip
from pathlib import Path

import pytest

from probe.asn_table import AsnTableError, Owner, check, look_up

TEXT = """# a comment
1.0.0.0\t1.0.0.255\t0\tNone\tNot routed
92.46.0.0\t92.47.255.255\t9198\tKZ\tKAZTELECOM-AS
2001:db8::\t2001:db8::ffff\t1\tUS\tSIX
62.115.0.0/16,1299,SE,"Arelion, Sweden"
nonsense
5.5.5.0,5.5.5.255,word,KZ
"""


@pytest.mark.parametrize("packed", [False, True])
def test_the_owners_of_addresses_are_looked_up(tmp_path: Path, *, packed: bool) -> None:
    table = tmp_path / "table"
    table.write_bytes(gzip.compress(TEXT.encode()) if packed else TEXT.encode())
    check(table)
    found = look_up(table, ["92.47.1.1", "62.115.3.4", "8.8.8.8", "1.0.0.1"])
    assert found == {
        "92.47.1.1": Owner(9198, "KZ", "JSC Kazakhtelecom"),
        "62.115.3.4": Owner(1299, "SE", "Arelion, Sweden"),
    }
    assert str(found["92.47.1.1"]) == "AS9198, JSC Kazakhtelecom, KZ"
    assert str(Owner()) == "unknown"


def test_without_a_table_no_owner_is_known(tmp_path: Path) -> None:
    check(None)
    assert look_up(None, ["8.8.8.8"]) == {}
    assert look_up(tmp_path / "absent", []) == {}


def test_an_unreadable_table_is_reported(tmp_path: Path) -> None:
    with pytest.raises(AsnTableError, match="cannot be read"):
        check(tmp_path / "absent")
    (tmp_path / "empty").write_text("hello\n")
    with pytest.raises(AsnTableError, match="no line is a range"):
        check(tmp_path / "empty")
    (tmp_path / "cut").write_bytes(gzip.compress(TEXT.encode())[:20])
    with pytest.raises(AsnTableError, match="cannot be read"):
        check(tmp_path / "cut")
