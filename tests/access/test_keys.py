"""The keys file and `tritone keys`: what is made can be read, what is wrong is told in one line, secrets stay out."""

from __future__ import annotations

import stat
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritone_backend.access.keyfile import WatchedKeys, edit_keys, read_keys
from tritone_backend.access.keys import Key, KeysError, digest, format_keys, name_in, new_token, parse_keys
from tritone_client.cli.main import main

pytestmark = pytest.mark.unit

NAMES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?", fullmatch=True)
MOMENTS = st.none() | st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)).map(
    lambda moment: moment.replace(microsecond=0, tzinfo=timezone.utc)
)
ENTRIES = st.builds(
    Key,
    NAMES,
    st.from_regex(r"[0-9a-f]{64}", fullmatch=True),
    st.integers(1, 1_000_000),
    st.sampled_from([("streaming_asr",), ("streaming_acoustic",), ("streaming_asr", "streaming_acoustic")]),
    MOMENTS,
    MOMENTS,
)


@given(st.lists(ENTRIES, max_size=5, unique_by=lambda key: key.name))
def test_what_is_written_is_read(entries):
    keys = {key.name: key for key in entries}
    assert parse_keys(format_keys(keys)) == keys


@given(NAMES)
def test_a_key_tells_its_name_and_its_hash_does_not_tell_the_key(name):
    token = new_token(name)
    assert name_in(token) == name
    assert token.rpartition("_")[2] not in digest(token)
    assert new_token(name) != token


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("[", "not valid TOML"),
        ("keys = 3", "must consist of"),
        ("key = 3", "must consist of"),
        ('[[key]]\nname = "a"', "entry 1 .* must have"),
        ('[[key]]\nname = "a"\nsha256 = "0"\nmax_streams = 1\nsecret = "x"', "entry 1 .* must have"),
        ('[[key]]\nname = "a"\nsha256 = "0"\nmax_streams = 1', "64 hexadecimal"),
        ('[[key]]\nname = "A b"\nsha256 = "0"\nmax_streams = 1', "no name of a key"),
        (f'[[key]]\nname = "a"\nsha256 = "{"0" * 64}"\nmax_streams = true', "wrong type"),
        (f'[[key]]\nname = "a"\nsha256 = "{"0" * 64}"\nmax_streams = 0', "outside 1 to"),
        (f'[[key]]\nname = "a"\nsha256 = "{"0" * 64}"\nmax_streams = 1\nmodels = []', "models must be"),
        (f'[[key]]\nname = "a"\nsha256 = "{"0" * 64}"\nmax_streams = 1\nmodels = ["x"]', "models must be"),
        (f'[[key]]\nname = "a"\nsha256 = "{"0" * 64}"\nmax_streams = 1\nexpires = 2027-01-01', "times look like"),
        (f'[[key]]\nname = "a"\nsha256 = "{"0" * 64}"\nmax_streams = 1\n' * 2, "twice"),
    ],
)
def test_a_wrong_file_is_told_in_one_line(tmp_path, text, match):
    path = tmp_path / "keys.toml"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(KeysError, match=match) as caught:
        read_keys(path)
    assert "\n" not in caught.value.user_message
    assert str(path) in caught.value.user_message


def test_a_file_that_others_may_write_is_refused(tmp_path):
    path = tmp_path / "keys.toml"
    path.write_text("")
    path.chmod(0o666)
    with pytest.raises(KeysError, match="chmod go-w"):
        read_keys(path)
    with pytest.raises(KeysError, match=r"is no file|cannot read"):
        read_keys(tmp_path)
    with pytest.raises(KeysError, match="'tritone keys add"):
        read_keys(tmp_path / "none")


def test_editors_at_once_lose_no_entry(tmp_path):
    path = tmp_path / "deep" / "keys.toml"

    def add(number):
        with edit_keys(path) as keys:
            keys[f"k{number}"] = Key(f"k{number}", f"{number:064x}", 1)

    threads = [threading.Thread(target=add, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(read_keys(path)) == 20
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_edit_that_fails_changes_nothing(tmp_path):
    path = tmp_path / "keys.toml"
    with edit_keys(path) as keys:
        keys["a"] = Key("a", "0" * 64, 1)
    before = path.read_bytes()
    with pytest.raises(KeysError, match="64 hex"), edit_keys(path) as keys:
        keys["a"] = Key("a", "no hash", 1)
    assert path.read_bytes() == before
    assert {entry.name for entry in tmp_path.iterdir()} == {"keys.toml", ".keys.toml.lock"}


def test_changes_are_seen_within_a_second_and_slips_change_nothing(tmp_path):
    path = tmp_path / "keys.toml"
    with edit_keys(path) as keys:
        keys["a"] = Key("a", "0" * 64, 1)
    said: list[str] = []
    watched = WatchedKeys(path, said.append)
    assert set(watched.current(10.0)) == {"a"}
    with edit_keys(path) as keys:
        keys["b"] = Key("b", "1" * 64, 1)
    assert set(watched.current(10.9)) == {"a"}
    assert set(watched.current(11.0)) == {"a", "b"}
    path.write_text("[[key")
    for second in range(12, 40):
        assert set(watched.current(float(second))) == {"a", "b"}
    assert len(said) == 1
    assert "event=keys-not-reloaded" in said[0]
    path.unlink()
    assert set(watched.current(50.0)) == {"a", "b"}
    with edit_keys(path) as keys:
        keys["c"] = Key("c", "2" * 64, 1)
    assert set(watched.current(60.0)) == {"c"}


class TestCommand:
    @pytest.fixture
    def file(self, tmp_path: Path) -> str:
        return str(tmp_path / "keys.toml")

    def test_a_key_is_shown_once_and_only_its_hash_is_kept(self, file, capsys):
        assert main(["keys", "add", "--file", file, "call-centre", "--max-streams", "40", "--days", "2"]) == 0
        token = capsys.readouterr().out.strip()
        (key,) = read_keys(Path(file)).values()
        assert (key.name, key.max_streams, key.sha256) == ("call-centre", 40, digest(token))
        assert key.expires is not None
        assert timedelta(days=1.9) < key.expires - datetime.now(timezone.utc) <= timedelta(days=2)
        assert token.rpartition("_")[2] not in Path(file).read_text()
        assert main(["keys", "list", "--file", file]) == 0
        shown = capsys.readouterr().out
        assert "call-centre" in shown
        assert key.sha256 not in shown

    def test_a_revoked_key_is_gone(self, file, capsys):
        assert main(["keys", "add", "--file", file, "a", "--model", "streaming_acoustic"]) == 0
        assert read_keys(Path(file))["a"].models == ("streaming_acoustic",)
        assert main(["keys", "revoke", "--file", file, "a"]) == 0
        assert read_keys(Path(file)) == {}

    @pytest.mark.parametrize(
        ("words", "match"),
        [
            (["add", "a b"], "no name of a key"),
            (["add", "a", "--max-streams", "0"], "outside 1 to"),
            (["add", "a", "--days", "-1"], "--days"),
            (["add", "a", "--days", "nan"], "--days"),
            (["revoke", "nobody"], "there is no key"),
            (["list"], "there is no keys file"),
        ],
    )
    def test_mistakes_are_told_in_one_line(self, file, capsys, words, match):
        assert main(["keys", words[0], "--file", file, *words[1:]]) == 2
        told = capsys.readouterr().err
        assert match in told
        assert told.count("\n") == 1

    def test_a_name_is_taken_only_once(self, file, capsys):
        assert main(["keys", "add", "--file", file, "a"]) == 0
        assert main(["keys", "add", "--file", file, "a"]) == 2
        assert "already" in capsys.readouterr().err
