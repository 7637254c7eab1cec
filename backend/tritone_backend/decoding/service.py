"""What decodes the streams of one service: greedy alone, or a beam search beside it. Opened once, for all streams."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tritone_backend.decoding.beam import BeamDecoder
from tritone_backend.decoding.hotwords import Hotwords, HotwordSearch
from tritone_backend.decoding.language import LanguageModel
from tritone_backend.decoding.pool import OnDegraded, SearchPool, StreamSearch
from tritone_backend.decoding.settings import DECODERS, DecodingSettings
from tritone_backend.errors import ModelError
from tritone_backend.options import StreamOptions
from tritone_backend.spec import AcousticSpec


@dataclass(frozen=True)
class DecoderChoice:
    """What an operator chooses.

    Attributes:
        decoder: one of `DECODERS`; ``auto`` is beam where the model has a language model and the packages are here.
        language_model: file that stands in for the model's own; empty for that.
        threads: how many search.
        deadline_s: how long a final waits for the search.
        partial_deadline_s: how long a partial does.
    """

    decoder: str = "auto"
    language_model: str = ""
    threads: int = 1
    deadline_s: float = 0.1
    partial_deadline_s: float = 0.01


class Decoding:
    """Makes a search for each stream; closes their threads."""

    def __init__(
        self,
        spec: AcousticSpec,
        settings: DecodingSettings,
        choice: DecoderChoice,
        on_degraded: OnDegraded = lambda stream_id, phrases, reason, detail: None,
        on_late_partial: Callable[[], None] = lambda: None,
    ) -> None:
        """Load the language model and start the threads.

        Args:
            spec: the acoustic model.
            settings: what its folder says about decoding.
            choice: what the operator says.
            on_degraded: told of phrases that stayed greedy.
            on_late_partial: told of partials that did not have the search's newest words.

        Raises:
            ModelError: the language model cannot be used, or beam search was asked for and there is none.
        """
        if choice.decoder not in DECODERS:
            raise ModelError(f"unknown decoder {choice.decoder!r}: known are {', '.join(DECODERS)}")
        self.settings = settings
        self._spec = spec
        self._language, self.summary = _language_model(spec, settings, choice)
        self.pool = SearchPool(
            choice.threads, choice.deadline_s, choice.partial_deadline_s, on_degraded, on_late_partial
        )

    def open(self, options: StreamOptions, stream_id: int | str = 0) -> StreamSearch | None:
        """The search of a new stream, or None where greedy decoding is all there is.

        Raises:
            StreamError: ``bad-option``: its hotwords cannot be used.
        """
        hotwords = Hotwords.parse(options.hotwords, self._spec.labels)
        beam = BeamDecoder(self._spec, self._language, self.settings.beam) if self._language else None
        if hotwords:
            return StreamSearch(self.pool, HotwordSearch(self._spec, hotwords, beam), stream_id)
        return StreamSearch(self.pool, beam, stream_id) if beam else None

    def close(self) -> None:
        """End the threads."""
        self.pool.stop()


def _language_model(
    spec: AcousticSpec, settings: DecodingSettings, choice: DecoderChoice
) -> tuple[LanguageModel | None, str]:
    """The language model to search with, if any, and one line on what decodes and why."""
    if choice.decoder == "greedy":
        return None, "greedy decoding (asked for)"
    name = choice.language_model or settings.beam.language_model
    if not name:
        if choice.decoder == "beam":
            raise ModelError(
                f"{spec.name} has no language model: give one with --language-model FILE, or choose --decoder greedy"
            )
        return None, "greedy decoding (the model has no language model)"
    path = Path(name).expanduser()
    if not path.is_absolute() and not choice.language_model:
        path = spec.onnx.parent / path
    try:
        model = LanguageModel(path, spec)
    except ModelError as error:
        if choice.decoder == "auto" and not choice.language_model and not _installed():
            return None, f"greedy decoding ({error.user_message})"
        raise
    return model, f"beam search with {path.name}, {model.words} words and pieces"


def _installed() -> bool:
    from importlib.util import find_spec

    return find_spec("flashlight") is not None
