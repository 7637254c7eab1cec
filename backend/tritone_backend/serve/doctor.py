"""What this machine has and lacks for serving: the list of checks, each with how to mend it.

The checks are `doctor_machine` and `doctor_software`, printing is `doctor_cli`. No server is started.
"""

from __future__ import annotations

from collections.abc import Callable

from tritone_backend.serve import doctor_machine as machine
from tritone_backend.serve import doctor_software as software
from tritone_backend.serve.doctor_finding import OK, PROBLEM, Check


def examine(grpc_port: int = 8001, metrics_port: int = 8002) -> list[Check]:
    """Runs every check.

    Args:
        grpc_port: port to try for gRPC.
        metrics_port: port to try for the metrics.

    Returns:
        The findings in the order to read them. A check that fails by itself is a finding, too.
    """
    checks: list[Callable[[], Check]] = [
        machine.check_python,
        machine.check_glibc,
        software.check_triton,
        software.check_stub,
        software.check_numpy,
        lambda: software.check_package("tritonclient", "tritonclient", "pip install tritone", needed=True),
        lambda: software.check_package("soxr", "soxr", "pip install 'tritone[backend]'", needed=True),
        software.check_onnxruntime,
        lambda: software.check_package("torch", "torch", "pip install 'tritone[torch]' (optional)"),
        software.check_tensorrt,
        machine.check_gpu,
        software.check_models,
        lambda: machine.check_port("gRPC port", grpc_port, "--grpc-port"),
        lambda: machine.check_port("metrics port", metrics_port, "--metrics-port"),
        machine.check_shared_memory,
        machine.check_open_files,
        software.check_perf_analyzer,
    ]
    return [_guarded(check) for check in checks]


def can_serve(checks: list[Check]) -> bool:
    """Whether everything that serving needs is there."""
    return all(check.state == OK for check in checks if check.needed)


def _guarded(check: Callable[[], Check]) -> Check:
    try:
        return check()
    except Exception as error:  # one odd finding must not hide the others
        name = getattr(check, "__name__", "check").removeprefix("check_")
        return Check(name, PROBLEM, f"{type(error).__name__}: {error}", "see the message")
