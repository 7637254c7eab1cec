"""What a training machine unpacks: the archive, wheels, and a set that travels beside it."""

import lzma
import tarfile

import pytest
from tritone_acoustic.data.bundle import ARCHIVE, unpack
from tritone_acoustic.data.errors import TrainingDataError

pytestmark = pytest.mark.unit


@pytest.fixture
def packed(tmp_path):
    (tmp_path / "festvox_train.cuts").write_text("cuts")
    folder = tmp_path / "bundle"
    folder.mkdir()
    with lzma.open(folder / ARCHIVE, "wb") as stream, tarfile.open(fileobj=stream, mode="w") as archive:
        archive.add(tmp_path / "festvox_train.cuts", "sets/festvox_train.cuts")
    return folder


def test_the_neural_set_is_put_beside_the_others(packed, tmp_path):
    (packed / "neural_train.ogg").write_bytes(b"sound")
    (packed / "neural_train.tsv").write_text("index")
    unpack(packed, tmp_path / "data")
    found = {path.name: path.read_bytes() for path in (tmp_path / "data/sets").iterdir()}
    assert found == {"festvox_train.cuts": b"cuts", "neural_train.ogg": b"sound", "neural_train.tsv": b"index"}


def test_a_bundle_without_it_is_whole(packed, tmp_path):
    unpack(packed, tmp_path / "data")
    assert [path.name for path in (tmp_path / "data/sets").iterdir()] == ["festvox_train.cuts"]


def test_a_broken_archive_is_told_in_a_line(packed, tmp_path):
    (packed / ARCHIVE).write_bytes(b"no archive")
    with pytest.raises(TrainingDataError, match=r"^cannot unpack "):
        unpack(packed, tmp_path / "data")
