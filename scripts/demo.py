"""What `make demo` shows: a real tritonserver on this CPU turns real telephone recordings into words, live."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tritone_backend.serve import running_server
from tritone_client.cli.main import main

AUDIO = Path(__file__).resolve().parents[1] / "tests" / "audio"


def demo() -> int:
    """Start the service, stream the recordings at the speed of speech, stop."""
    recordings = sorted(AUDIO.glob("*.wav")) + sorted(AUDIO.glob("*.flac"))
    print("tritone: starting tritonserver on the CPU ...", flush=True)
    with running_server(model="default") as server:
        print(f"tritone: ready on {server.address}; streaming {len(recordings)} recordings in real time", flush=True)
        return main(
            ["transcribe", "--server", server.address, "--realtime", *(os.path.relpath(path) for path in recordings)]
        )


if __name__ == "__main__":
    sys.exit(demo())
