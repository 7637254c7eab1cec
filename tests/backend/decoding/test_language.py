"""What counts as a language model, and the one line for what does not."""

import gzip

import pytest
from tritone_backend.decoding.beam import BeamDecoder
from tritone_backend.decoding.language import LanguageModel, read_vocabulary
from tritone_backend.decoding.service import DecoderChoice, Decoding
from tritone_backend.decoding.settings import BeamSettings, DecodingSettings
from tritone_backend.errors import ModelError
from tritone_backend.models.registry import find_model
from tritone_backend.spec import AcousticSpec

from tests.backend.decoding.conftest import WORDS, arpa, rows

pytestmark = pytest.mark.unit


def refused(path, spec, match):
    with pytest.raises(ModelError, match=match) as caught:
        LanguageModel(path, spec)
    assert "\n" not in caught.value.user_message


def test_the_shipped_model_fits_and_is_small():
    directory = find_model("default")
    spec = AcousticSpec.load(directory)
    decoding = Decoding(spec, DecodingSettings.load(directory), DecoderChoice())
    decoding.close()
    assert decoding.summary.startswith("beam search with language-model.bin")
    assert (directory / "language-model.bin").stat().st_size < 10e6
    assert {"алло", "здравствуйте", "пожалуйста"} <= set(read_vocabulary(directory / "language-model.bin"))


def test_words_alone_are_enough_and_others_are_spelt(tmp_path, spec):
    path = tmp_path / "words.arpa.gz"
    path.write_bytes(gzip.compress(arpa(WORDS, [("мама", "мыла")]).encode()))
    beam = BeamDecoder(spec, LanguageModel(path, spec), BeamSettings())
    beam.push(rows("-да- -ж-ё-ф- -нет", spec), 0)
    assert " ".join(word.text for word in beam.finish()) == "да жёф нет"


def test_what_is_no_language_model(tmp_path, spec):
    refused(tmp_path / "none.bin", spec, "cannot read the language model .*none.bin: No such file")
    refused(tmp_path, spec, "cannot read the language model")
    for content in (b"", b"hello\n", b"\x00\xff\xfe" * 100, b"\\data\\\nngram 1=2\n", b"\x1f\x8b broken"):
        path = tmp_path / "other"
        path.write_bytes(content)
        refused(path, spec, "is not a language model|cannot read")
    whole = (find_model("default") / "language-model.bin").read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused(path, spec, "without its vocabulary|KenLM cannot load")
    path.write_bytes(whole[:-100_000])
    refused(path, spec, "is cut short")


def test_another_alphabet(tmp_path, spec):
    path = tmp_path / "english.arpa"
    path.write_text(arpa(("hello", "world", "да"), [("hello", "world")]), encoding="utf-8")
    refused(path, spec, "another alphabet: 2 of its 3 words, such as 'hello'.*lower-case")


def test_beam_without_a_language_model_says_what_to_do(spec):
    with pytest.raises(ModelError, match="no language model: give one with --language-model FILE"):
        Decoding(spec, DecodingSettings(), DecoderChoice("beam"))
    decoding = Decoding(spec, DecodingSettings(), DecoderChoice("auto"))
    decoding.close()
    assert decoding.summary == "greedy decoding (the model has no language model)"


def test_entries_of_model_toml_are_checked(tmp_path):
    (tmp_path / "model.toml").write_text('[decoding]\nlm_weight = "much"\n')
    with pytest.raises(ModelError, match=r"decoding\.lm_weight must be a float"):
        DecodingSettings.load(tmp_path)
    (tmp_path / "model.toml").write_text("[confidence]\nslope = 1.0\n")
    with pytest.raises(ModelError, match=r"confidence\.slope is unknown: known are bias"):
        DecodingSettings.load(tmp_path)
