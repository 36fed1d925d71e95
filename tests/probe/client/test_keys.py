import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from probe.client.keys import Keys, KeysError


def test_each_collector_role_and_network_sees_another_key(tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    seen = {
        keys.identity("https://a.example").key_id,
        keys.identity("https://b.example").key_id,
        keys.identity("https://a.example", role="control").key_id,
        keys.identity("https://a.example", network="home").key_id,
    }
    assert len(seen) == 4


def test_a_key_is_the_same_tomorrow_and_signs(tmp_path: Path) -> None:
    identity = Keys(tmp_path).identity("https://a.example")
    again = Keys(tmp_path).identity("https://a.example")
    assert again == identity
    Ed25519PublicKey.from_public_bytes(again.public).verify(identity.sign(b"x"), b"x")


def test_an_enrolment_is_kept_and_forgotten(tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    identity = keys.remember(keys.identity("https://a.example"), "c1", addresses=("192.0.2.1",))
    assert Keys(tmp_path).identity("https://a.example") == identity
    assert [one.collector_id for one in keys.enrolments()] == ["c1"]
    assert keys.forget(identity).enrolment is None
    assert Keys(tmp_path).identity("https://a.example").enrolment is None
    assert keys.enrolments() == ()


def test_a_torn_enrolment_is_no_enrolment(tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    identity = keys.remember(keys.identity("https://a.example"), "c1")
    (tmp_path / "keys" / f"{identity.key_id}.json").write_bytes(b'{"collector":')
    assert keys.identity("https://a.example").enrolment is None


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes")
def test_keys_are_for_their_owner_alone(tmp_path: Path) -> None:
    keys = Keys(tmp_path / "home")
    keys.remember(keys.identity("https://a.example"), "c1")
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "home/keys").iterdir()
    }
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE((tmp_path / "home/keys").stat().st_mode) == 0o700


def test_two_at_once_agree_on_one_seed(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = set(
            pool.map(lambda _: Keys(tmp_path).identity("https://a.example").key_id, range(8))
        )
    assert len(found) == 1


def test_a_damaged_seed_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/seed").write_bytes(b"short")
    with pytest.raises(KeysError, match="expected 32"):
        Keys(tmp_path).identity("https://a.example")
