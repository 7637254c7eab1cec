from __future__ import annotations

from pathlib import Path

import pytest
from tritone_backend.serve import ServeError, ServeSettings
from tritone_backend.serve.command import ServerPaths, allocation_pool_size, server_command

pytestmark = pytest.mark.unit
MODEL = Path("/models/default")
PATHS = ServerPaths(Path("/t/bin/tritonserver"), Path("/t/backends"), Path("/run/repository"))


@pytest.mark.parametrize(
    ("wrong", "flag"),
    [
        ({"engine": "fast"}, "--engine"),
        ({"max_streams": 0}, "--max-streams"),
        ({"max_streams": 70_000}, "--max-streams"),
        ({"idle_timeout_s": 0.0}, "--idle-timeout"),
        ({"idle_timeout_s": float("nan")}, "--idle-timeout"),
        ({"threads": -1}, "--threads"),
        ({"grpc_port": 0}, "--grpc-port"),
        ({"metrics_port": 65_536}, "--metrics-port"),
        ({"grpc_port": 9000, "metrics_port": 9000}, "--grpc-port and --metrics-port"),
    ],
)
def test_a_wrong_setting_is_refused_in_one_line_naming_its_flag(wrong, flag):
    with pytest.raises(ServeError) as caught:
        ServeSettings(model_dir=MODEL, **wrong)
    assert flag in caught.value.user_message
    assert "\n" not in caught.value.user_message


@pytest.mark.parametrize(
    ("instances", "asked", "shared"), [(1, "auto", False), (8, "auto", True), (8, "own", False), (1, "shared", True)]
)
def test_several_instances_share_an_engine_unless_told_otherwise(instances, asked, shared):
    chosen = ServeSettings(model_dir=MODEL, instances=instances, engine_process=asked)
    assert chosen.shares_engine is shared


def test_a_server_that_listens_everywhere_is_reached_through_loopback():
    settings = ServeSettings(model_dir=MODEL, host="0.0.0.0")
    assert settings.address == "127.0.0.1:8001"
    assert settings.grpc_url == "grpc://0.0.0.0:8001"
    assert settings.model_name == "default"


@pytest.mark.parametrize(("streams", "size"), [(1, 4096), (1024, 4096), (1025, 8192), (2048, 8192), (3000, 16384)])
def test_the_allocation_pool_holds_four_requests_per_stream(streams, size):
    assert allocation_pool_size(streams) == size


def test_the_command_binds_loopback_and_nothing_else_by_default():
    command = server_command(ServeSettings(model_dir=MODEL), PATHS, "tritone_ab_", "secret")
    assert command[0] == "/t/bin/tritonserver"
    addresses = {option for option in command if "address" in option}
    assert addresses == {"--grpc-address=127.0.0.1", "--metrics-address=127.0.0.1"}
    assert "--allow-http=false" in command
    assert "--disable-auto-complete-config" in command
    assert "--backend-config=python,shm-region-prefix-name=tritone_ab_" in command
    assert any(
        option.startswith("--grpc-restricted-protocol=shared-memory,") and option.endswith("=secret")
        for option in command
    )


def test_the_command_resolves_host_names():
    command = server_command(ServeSettings(model_dir=MODEL, host="localhost"), PATHS, "p", "k")
    assert "--grpc-address=127.0.0.1" in command


@pytest.mark.parametrize("host", ["::1", "no-such-host.invalid"])
def test_a_host_that_cannot_be_bound_is_refused(host):
    with pytest.raises(ServeError, match="--host"):
        server_command(ServeSettings(model_dir=MODEL, host=host), PATHS, "p", "k")
