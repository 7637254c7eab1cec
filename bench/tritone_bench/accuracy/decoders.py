"""Which decoders a run compares, and how a service with each of them is started."""

from __future__ import annotations

import argparse
import contextlib
import functools
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tritone_bench.errors import ServiceError, UsageError
from tritone_bench.service import Service, is_listening, parse_address, service_at

ABOUT = {
    "greedy": "the most likely character of every frame",
    "beam": "the beam search with a language model that says nothing",
    "beam+lm": "the beam search with the model's language model",
    "service": "a running service as it is",
}
LEAST_SLOTS = 64
PATIENT_MS = 60_000
_TRITONE = str(Path(sys.executable).with_name("tritone"))
_DEFAULT_LANGUAGE_MODEL = "language-model.bin"
_NAMED = re.compile(r'^\s*(onnx|language_model)\s*=\s*"([^"]+)"', re.MULTILINE)
_SHA256 = re.compile(r'^\s*sha256\s*=\s*"([0-9a-f]{64})"', re.MULTILINE)
_WEIGHTS = re.compile(r"^\s*(lm_weight|unit_bonus|blank_penalty)\s*=.*\n?", re.MULTILINE)
_SAYS_NOTHING = """\\data\\
ngram 1=4
ngram 2=1

\\1-grams:
-1\t<unk>\t0
-99\t<s>\t0
-1\t</s>
-1\tа\t0

\\2-grams:
-1\t<s> а

\\end\\
"""


def parse(names: str, server: str | None, model: str) -> list[str]:
    """Read ``--decoders``.

    Args:
        names: separated by commas, or ``auto`` for all that the model has.
        server: a running service, if that is to be measured.
        model: name or folder of the model.

    Raises:
        UsageError: a name is unknown, or model or installation have no such decoder.
    """
    if server is not None:
        if names != "auto":
            raise UsageError("--decoders are for services started here; leave out --server, or leave them out")
        return ["service"]
    if names == "auto":
        known = has_decoders() and _language_model(model_folder(model)) is not None
        return ["greedy", "beam", "beam+lm"] if known else ["greedy"]
    wanted = list(dict.fromkeys(name.strip() for name in names.split(",") if name.strip()))
    for name in wanted:
        if name not in ABOUT or name == "service":
            raise UsageError(f"no decoder {name!r}; there are greedy, beam, beam+lm")
    if not wanted:
        raise UsageError("--decoders names none; there are greedy, beam, beam+lm")
    if wanted != ["greedy"] and not has_decoders():
        raise UsageError("this installation's 'tritone serve' has no --decoder: leave out --decoders")
    if "beam+lm" in wanted and _language_model(model_folder(model)) is None:
        raise UsageError(f"the model {Path(model).name} has no language model: leave beam+lm out of --decoders")
    return wanted


@functools.cache
def has_decoders() -> bool:
    """Whether `tritone serve` takes a decoder."""
    return "--decoder" in _asked("serve", "--help").stdout


@functools.cache
def model_folder(model: str) -> Path:
    """Folder of a model.

    Raises:
        UsageError: there is none.
    """
    done = _asked("model", "info", model)
    found = re.search(r"^folder +(.+)$", done.stdout, re.MULTILINE)
    if done.returncode or found is None:
        complaint = (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
        raise UsageError(complaint.removeprefix("tritone: "))
    return Path(found.group(1))


def model_fingerprint(folder: Path) -> str:
    """Twelve letters of the network's sha256, as its ``model.toml`` has it: a name outlives the weights behind it."""
    try:
        found = _SHA256.search((folder / "model.toml").read_text(encoding="utf-8"))
    except OSError:
        return ""
    return found.group(1)[:12] if found else ""


def model_mib(folder: Path, *, with_language_model: bool) -> float:
    """Size in MiB of a model's network, and of its language model; 0 when out of sight."""
    try:
        named = dict(_NAMED.findall((folder / "model.toml").read_text(encoding="utf-8")))
    except OSError:
        return 0.0
    paths = [folder / str(named.get("onnx", "model.onnx"))]
    language = _language_model(folder)
    paths += [language, language.with_suffix(".words.xz")] if language is not None and with_language_model else []
    sizes = [path.stat().st_size for path in paths if path.is_file()]
    return sum(sizes) / 2**20


@contextlib.contextmanager
def service(decoder: str, args: argparse.Namespace, say: Callable[[str], None], *, patient: bool) -> Iterator[Service]:
    """The service with a decoder.

    Args:
        decoder: key of `ABOUT`.
        args: options of the command.
        say: tells the user what happens.
        patient: let finals wait for the search however late it is. Clips that come as fast as they are answered leave
            no time for it, and what is to be scored is the decoder, not the machine. Otherwise as shipped.

    Raises:
        ServiceError: it is not there, or does not start.
    """
    if decoder == "service":
        host, port = parse_address(args.server)
        if not is_listening(host, port):
            raise ServiceError(f"no service at {host}:{port}: start one with 'tritone serve', or leave out --server")
        with service_at(host, port, 8002, [], say) as running:
            yield running
        return
    options = ["--max-streams", str(max(LEAST_SLOTS, args.streams, args.paced_streams))]
    # The same haste would make the service refuse streams for want of time: admission goes by slots.
    options += ["--admission", "slots"]
    for name in ("engine", "threads"):
        if getattr(args, name) is not None:
            options += [f"--{name}", str(getattr(args, name))]
    with tempfile.TemporaryDirectory(prefix="tritone-accuracy-") as folder:
        options += _decoding(decoder, str(args.model), Path(folder), patient=patient)
        port, metrics_port = _free_ports()
        with service_at("127.0.0.1", port, metrics_port, options, lambda _: None) as running:
            yield running


def _decoding(decoder: str, model: str, folder: Path, *, patient: bool) -> list[str]:
    """Options that choose model and decoder; `folder` is for files that they need."""
    if not has_decoders():
        return ["--model", model]
    if decoder == "greedy":
        return ["--model", model, "--decoder", "greedy"]
    wait = ["--final-deadline", str(PATIENT_MS)] if patient else []
    if decoder == "beam+lm":
        return ["--model", model, "--decoder", "beam", *wait]
    # Every letter costs nothing and earns nothing: what is left is the search over the network's own probabilities.
    source, copy = model_folder(model), folder / model_folder(model).name
    copy.mkdir()
    for path in source.iterdir():
        if path.name != "model.toml":
            (copy / path.name).symlink_to(path)
    text = _WEIGHTS.sub("", (source / "model.toml").read_text(encoding="utf-8"))
    weights = "[decoding]\nlm_weight = 0.0\nunit_bonus = 0.0\nblank_penalty = 0.0\n"
    text = text.replace("[decoding]\n", weights) if "[decoding]\n" in text else f"{text}\n{weights}"
    (copy / "model.toml").write_text(text, encoding="utf-8")
    (folder / "says-nothing.arpa").write_text(_SAYS_NOTHING, encoding="utf-8")
    return ["--model", str(copy), "--decoder", "beam", "--language-model", str(folder / "says-nothing.arpa"), *wait]


def _language_model(folder: Path) -> Path | None:
    named = dict(_NAMED.findall((folder / "model.toml").read_text(encoding="utf-8")))
    path = folder / str(named.get("language_model", _DEFAULT_LANGUAGE_MODEL))
    return path if path.is_file() else None


def _asked(*words: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run([_TRITONE, *words], capture_output=True, text=True, timeout=60, check=False)
    except OSError:
        raise ServiceError(
            "the command 'tritone' is not installed beside this Python: pip install 'tritone[server]'"
        ) from None


def _free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        for one in (first, second):
            one.bind(("127.0.0.1", 0))
        return int(first.getsockname()[1]), int(second.getsockname()[1])
