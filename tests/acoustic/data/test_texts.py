import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritone_acoustic.data import texts
from tritone_acoustic.data.normalize import is_held_out, normalize
from tritone_acoustic.data.paths import DataPaths
from tritone_acoustic.data.texts import QUOTING_SOURCES, RUN, fingerprint, read_rows, runs, write_texts

pytestmark = pytest.mark.unit


def test_runs_ignore_yo_and_short_texts_have_none():
    assert runs("раз два три ещё пять шесть") == {
        ("раз", "два", "три", "еще", "пять"),
        ("два", "три", "еще", "пять", "шесть"),
    }
    assert runs("раз два три четыре") == runs("") == set()


@given(st.lists(st.sampled_from("абв"), max_size=12), st.lists(st.sampled_from("абв"), max_size=12))
def test_texts_share_a_run_where_five_words_are_the_same(left, right):
    left_runs, right_runs = ({tuple(words[i : i + RUN]) for i in range(len(words))} for words in (left, right))
    expected = {run for run in left_runs & right_runs if len(run) == RUN}
    assert runs(" ".join(left)) & runs(" ".join(right)) == expected


PROMPT = "нажмите на звёздочку чтобы вернуться в главное меню"
DEV = "Старый дом стоял на с+амом краю большого села."
TRAIN = "Он вышел из дома ранним утром и пошёл к реке."


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Write the lists of a small corpus: its sources, and those of the training list by source."""
    quotations = [
        "Говорят, нажмите на звездочку, чтобы вернуться.",
        "А старый дом стоял на самом берегу.",
        "Ранним утром он вышел из дома и пошёл домой.",
        "Он вышел из дома ранним утром.",
        "Нажмите на звёздочку, чтобы выйти.",
    ]
    lines = [f"Это предложение под номером {first} и {second}." for first in "абвгдежз" for second in "иклмнопрст"]
    corpora = {"help": [*lines, *quotations, PROMPT], **{source: list(quotations) for source in QUOTING_SOURCES}}
    monkeypatch.setattr(texts, "DEV_SENTENCES", 2)
    monkeypatch.setattr(texts, "read_corpora", lambda paths: corpora)
    monkeypatch.setattr(texts, "prompt_transcripts", lambda paths: {"menu": PROMPT, "yes": "да"})
    monkeypatch.setattr(texts, "read_festvox_text", lambda paths: {"ru_0001": TRAIN, "ru_0005": DEV})
    monkeypatch.setattr(texts, "read_word_forms", lambda paths, count: ["дом", "дома"])
    paths = DataPaths(tmp_path)
    write_texts(paths)
    train: dict[str, list[str]] = {}
    for source, sentence in read_rows(paths.texts / "train.tsv"):
        train.setdefault(source, []).append(sentence)
    return corpora, train, paths


def test_what_quotes_a_transcript_kept_apart_is_left_out_of_quoting_sources_alone(written):
    corpora, train, _ = written
    for source in QUOTING_SOURCES:
        assert train[source] == [text for text in corpora[source][2:] if not is_held_out(normalize(text))]
    quotations = corpora["examples"]
    assert {*quotations} - {*train["help"]} == {text for text in quotations if is_held_out(normalize(text))}


def test_transcripts_kept_apart_and_held_out_sentences_are_in_no_training_list(written):
    _, train, paths = written
    labels = {normalize(sentence) for sentences in train.values() for sentence in sentences}
    assert not labels & {PROMPT, normalize(DEV)}
    assert train["recorded"] == [TRAIN]
    assert not any(
        is_held_out(label) for source in train if source != "recorded" for label in map(normalize, train[source])
    )
    assert {int(line) for line in (paths.texts / "excluded.txt").read_text().split()} == {
        fingerprint(PROMPT),
        fingerprint(normalize(DEV)),
    }
    assert (paths.texts / "forms.txt").read_text(encoding="utf-8") == "дом\nдома\n"


def test_the_development_list_is_of_held_out_sentences(written):
    _, _, paths = written
    rows = read_rows(paths.texts / "dev.tsv")
    assert {source for source, _ in rows} == {"help", "calls"}
    assert all(is_held_out(normalize(sentence)) for _, sentence in rows)
