"""Downloads and unpacks the Debian packages that hold voices, speech and text.

Uses the machine's own Debian mirror through apt, in a private apt state: the system is not changed.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tritone_acoustic.data.console import say
from tritone_acoustic.data.errors import TrainingDataError
from tritone_acoustic.data.frequencies import fetch_frequencies
from tritone_acoustic.data.kokoro import fetch_kokoro
from tritone_acoustic.data.paths import DataPaths
from tritone_acoustic.data.wiktionary import fetch_wiktionary

CAMPAIGNS = ("did", "dm", "dw", "ei", "l", "low", "nr", "sof", "sota", "sotbe", "thot", "trow", "tsg", "ttb", "utbs")
PACKAGES = (
    # the synthesiser, its languages and voices (Debian component non-free)
    "rhvoice-russian",
    "rhvoice-ukrainian",
    "rhvoice-kyrgyz",
    "librhvoice-core7",
    "librhvoice5",
    "libsonic0",
    # the unit-selection synthesiser (its voice is festvox-ru)
    "festival",
    "libestools2.5",
    "libgomp1",
    "libtinfo6",
    # recorded speech
    "festvox-ru",
    "tuxpaint-stamps-default",
    "klettres-data",
    "asterisk-core-sounds-ru",
    "asterisk-core-sounds-ru-wav",
    "ktuberling-data",
    # recorded speech in other languages, and the rules of their pronunciation (libsonic0 is above)
    *(f"asterisk-core-sounds-{language}{part}" for language in ("es", "it", "fr") for part in ("", "-wav")),
    "asterisk-prompt-it-menardi-wav",
    "espeak-ng-data",
    "libespeak-ng1",
    "libpcaudio0",
    # text
    "fortunes-ru",
    "libreoffice-help-ru",
    "wesnoth-1.16-data",
    "wesnoth-1.16-httt",
    *(f"wesnoth-1.16-{campaign}" for campaign in CAMPAIGNS),
    "cataclysm-dda-data",
    "crawl-common",
    "hunspell-ru",
)
_SUITE = "bookworm"


def debian_mirror(apt_folder: Path = Path("/etc/apt")) -> tuple[str, str]:
    """Finds the mirror and key ring that this machine uses for Debian's main archive.

    Args:
        apt_folder: apt's configuration folder.

    Returns:
        The mirror's address and the path of its key ring (empty if the entry names none).

    Raises:
        TrainingDataError: no entry for the suite is configured.
    """
    for source in sorted(apt_folder.glob("sources.list.d/*.sources")):
        for stanza in source.read_text().split("\n\n"):
            fields = dict(re.findall(r"^([A-Za-z-]+):\s*(.+)$", stanza, re.MULTILINE))
            if _SUITE in fields.get("Suites", "").split() and "main" in fields.get("Components", ""):
                return fields["URIs"].split()[0], fields.get("Signed-By", "")
    lines = [*apt_folder.glob("sources.list.d/*.list"), apt_folder / "sources.list"]
    for source in (path for path in lines if path.is_file()):
        for line in source.read_text().splitlines():
            match = re.match(rf"deb\s+(?:\[(.*?)\]\s+)?(\S+)\s+{_SUITE}\s+.*\bmain\b", line)
            if match:
                key = re.search(r"signed-by=(\S+)", match.group(1) or "")
                return match.group(2), key.group(1) if key else ""
    raise TrainingDataError(
        f"no Debian {_SUITE} mirror in {apt_folder}: run `data fetch` on Debian 12 (or in its container)"
    )


def _apt_options(state: Path) -> list[str]:
    options = {
        "Dir::Etc::sourcelist": state / "sources.list",
        "Dir::Etc::sourceparts": "/nonexistent",
        "Dir::State": state / "state",
        "Dir::State::status": "/dev/null",
        "Dir::Cache": state / "cache",
        "APT::Sandbox::User": "root",
    }
    return [item for key, value in options.items() for item in ("-o", f"{key}={value}")]


def _prepare_apt(state: Path) -> list[str]:
    mirror, key = debian_mirror()
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (state / folder).mkdir(parents=True, exist_ok=True)
    signed = f"[signed-by={key}] " if key else ""
    (state / "sources.list").write_text(f"deb {signed}{mirror} {_SUITE} main non-free\n")
    options = _apt_options(state.resolve())
    say("reading the package lists (main and non-free)")
    subprocess.run(["apt-get", *options, "-q=2", "update"], check=True)
    return options


def fetch(paths: DataPaths) -> None:
    """Downloads what is missing and unpacks what is new; safe to repeat after an interruption.

    Args:
        paths: the data folder.

    Raises:
        TrainingDataError: apt or dpkg failed.
    """
    paths.debs.mkdir(parents=True, exist_ok=True)
    paths.packages.mkdir(parents=True, exist_ok=True)
    missing = [name for name in PACKAGES if not list(paths.debs.glob(f"{name}_*.deb"))]
    try:
        if missing:
            options = _prepare_apt(paths.root.resolve() / "apt")
            for number, name in enumerate(missing, 1):
                say(f"[{number}/{len(missing)}] downloading {name}")
                subprocess.run(["apt-get", *options, "-q", "download", name], check=True, cwd=paths.debs)
        for number, name in enumerate(PACKAGES, 1):
            package = next(paths.debs.glob(f"{name}_*.deb"))
            mark = paths.debs / f"{package.name}.unpacked"
            if not mark.exists():
                say(f"[{number}/{len(PACKAGES)}] unpacking {package.name}")
                subprocess.run(["dpkg", "-x", str(package), str(paths.packages)], check=True)
                mark.touch()
    except (OSError, subprocess.CalledProcessError) as error:
        raise TrainingDataError(f"the download stopped ({error}); run `data fetch` again to go on") from error
    fetch_frequencies(paths)
    fetch_wiktionary(paths)
    fetch_kokoro(paths)
    say(f"{len(PACKAGES)} packages are in {paths.packages}")
