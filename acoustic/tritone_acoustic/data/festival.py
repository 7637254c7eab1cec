"""The Festival unit-selection synthesiser as a long-lived process: text in, int16 samples out.

One process per engine, restarted when it hangs or ends; its files are made in `festival_files`.
"""

from __future__ import annotations

import os
import re
import select
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tritone_acoustic.data.errors import TrainingDataError
from tritone_acoustic.data.normalize import normalize

VOICE = "festival"
START_SECONDS = 60.0
SPEAK_SECONDS = 20.0
# Seconds per letter outside of which something was left out or went wrong (0.05 to 0.12 is usual).
_LETTER_SECONDS = (0.025, 0.5)
_MARK = "tritone-done"
# datadir is compiled in as a system folder; the program is told about its own one before it loads anything.
_BOOT = """
(set! datadir "{folder}/share") (set! libdir datadir) (set! load-path (cons datadir nil))
(load "{folder}/share/init.scm")
(set! voice-locations (list (cons 'msu_ru_nsh_clunits "{folder}/voice/")))
(load "{folder}/voice/festvox/msu_ru_nsh_clunits.scm")
(voice_msu_ru_nsh_clunits)
(define (tritone_speak number text file)
  (let ((utt (utt.synth (eval (list 'Utterance 'Text text)))))
    (utt.save.wave utt file 'raw)
    (format t "\\n{mark} %d %d" number (nth 1 (assoc 'sample_rate (wave.info (utt.wave utt)))))
    (mapcar (lambda (word) (format t " %s" (item.name word))) (utt.relation.items utt 'Word))
    (terpri) (fflush nil)))
(format t "\\n{mark} 0\\n")
(fflush nil)
"""


def speakable(sentence: str) -> str:
    """Reduces a sentence to what the voice's text rules read: lower-case words, stress marks and pauses.

    Args:
        sentence: Russian text, numbers already spelt out.

    Returns:
        Words over the Russian alphabet, '+' before a stressed vowel, and , . ? ! as pauses.
    """
    text = re.sub(r"\s[-–—]+\s|[:;()…]", ", ", sentence.lower())
    text = re.sub(r"[^а-яё+,.?! ]", lambda match: "" if match.group() in "\u0301\u00ad'’" else " ", text)
    text = re.sub(r"\+(?![аеёиоуыэюя])", " ", text)
    text = re.sub(r"\s*([,.?!])[\s,.?!]*", r"\1 ", text).strip(" ,")
    return " ".join(text.split())


class Festival:
    """One synthesiser process.

    Args:
        folder: made by `festival_files.gather` and completed by `restore`.

    Raises:
        TrainingDataError: the program does not start.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._scratch = tempfile.TemporaryDirectory(prefix="tritone-festival-")
        self._process: subprocess.Popen[bytes] | None = None
        self._buffer = b""
        self._number = 0
        self.restarts = -1  # the first start is none
        self.sample_rate = 0
        try:
            self._start()
        except TrainingDataError:
            self.close()
            raise

    def _start(self) -> None:
        self.stop()
        environment = {"LD_LIBRARY_PATH": str(self._folder / "lib"), "PATH": os.environ.get("PATH", ""), "LANG": "C"}
        try:
            self._process = subprocess.Popen(
                [str(self._folder / "bin/festival"), "--pipe"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
                cwd=self._scratch.name,
            )
            self._send(_BOOT.format(folder=self._folder, mark=_MARK))
            self._answer(0, START_SECONDS)
        except (OSError, RuntimeError) as error:
            self.stop()
            raise TrainingDataError(f"festival in {self._folder} does not start ({error})") from error
        self.restarts += 1

    def stop(self) -> None:
        """Ends the process; the next `speak` starts a new one."""
        self._buffer = b""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    with suppress(BrokenPipeError):  # what it did not read before it ended
                        stream.close()
            self._process = None

    def close(self) -> None:
        """Ends the process and removes its scratch folder."""
        self.stop()
        self._scratch.cleanup()

    def _send(self, command: str) -> None:
        assert self._process is not None and self._process.stdin is not None  # noqa: PT018
        try:
            self._process.stdin.write(command.encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise RuntimeError("the process ended") from None

    def _answer(self, number: int, seconds: float) -> list[str]:
        """Waits for the line that ends command `number`; returns what it says after the number."""
        assert self._process is not None and self._process.stdout is not None  # noqa: PT018
        end = time.monotonic() + seconds
        while True:
            line, newline, rest = self._buffer.partition(b"\n")
            if newline:
                self._buffer = rest
                fields = line.decode(errors="replace").split()
                if fields[:2] == [_MARK, str(number)]:
                    return fields[2:]
                continue
            left = end - time.monotonic()
            if left <= 0 or not select.select([self._process.stdout], [], [], left)[0]:
                raise RuntimeError(f"no answer within {seconds:.0f} s")
            block = os.read(self._process.stdout.fileno(), 65536)
            if not block:
                raise RuntimeError("the process ended")
            self._buffer += block

    def speak(self, text: str) -> NDArray[np.int16]:
        """Synthesises one sentence.

        Args:
            text: Russian text, numbers already spelt out; '+' before a vowel marks stress.

        Returns:
            int16 samples [n] at `sample_rate`.

        Raises:
            RuntimeError: the engine could not say the text, or said other words (it is fit for the next one).
            TrainingDataError: it does not start any more.
        """
        sentence = speakable(text)
        if not normalize(sentence):
            raise RuntimeError(f"nothing to say: {text!r}")
        if self._process is None:
            self._start()
        self._number += 1
        path = Path(self._scratch.name) / "speech.raw"
        path.unlink(missing_ok=True)
        try:
            # A failed command prints an error and nothing else; the second command then answers in its place.
            self._send(f'(tritone_speak {self._number} "{sentence}" "{path}")')
            self._send(f'(begin (format t "\\n{_MARK} {self._number}\\n") (fflush nil))')
            fields = self._answer(self._number, SPEAK_SECONDS)
            if fields:
                self._answer(self._number, SPEAK_SECONDS)
        except (OSError, RuntimeError) as error:
            self.stop()
            raise RuntimeError(f"festival failed ({error}): {text!r}") from error
        if not fields or not path.exists():
            raise RuntimeError(f"festival cannot say {text!r}")
        if normalize(" ".join(fields[1:])) != normalize(sentence):
            raise RuntimeError(f"festival reads {' '.join(fields[1:])!r} for {text!r}")
        self.sample_rate = int(fields[0])
        samples = np.fromfile(path, "<i2").astype(np.int16)
        pace = len(samples) / self.sample_rate / len(normalize(sentence))
        if not _LETTER_SECONDS[0] <= pace <= _LETTER_SECONDS[1]:
            raise RuntimeError(f"festival takes {pace:.3f} s per letter for {text!r}")
        return samples
