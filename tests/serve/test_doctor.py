from __future__ import annotations

import argparse
import json
import socket

import pytest
from tritone_backend.serve import doctor, doctor_cli, doctor_machine, doctor_software, locate
from tritone_backend.serve.doctor_finding import MISSING, OK, PROBLEM, Check
from tritone_backend.serve.ports import free_ports

pytestmark = pytest.mark.unit


def run(*options: str) -> int:
    parser = argparse.ArgumentParser()
    doctor_cli.configure(parser)
    return doctor_cli.run(parser.parse_args(options))


def test_json_holds_every_check_with_a_remedy_where_one_is_due(capsys):
    grpc_port, metrics_port = free_ports(2)
    status = run("--json", "--grpc-port", str(grpc_port), "--metrics-port", str(metrics_port))
    told = json.loads(capsys.readouterr().out)
    assert told["can_serve"] == (status == 0)
    states = {check["name"]: check["state"] for check in told["checks"]}
    assert states["tritonserver"] == states["model process"] == states["numpy"] == OK
    assert states["gRPC port"] == OK
    assert {"Python", "glibc", "onnxruntime", "torch", "TensorRT", "GPU", "models", "shared memory"} <= set(states)
    assert all(check["remedy"] for check in told["checks"] if check["state"] != OK)


def test_the_table_aligns_and_the_verdict_names_what_is_lacking():
    checks = [
        Check("Python", OK, "3.11", needed=True),
        Check("tritonserver", MISSING, "", "install it", needed=True),
        Check("GPU", MISSING, "no driver", "buy one"),
    ]
    assert doctor_cli.table(checks).splitlines() == [
        "Python        ok       3.11",
        "tritonserver  missing",
        "                       install it",
        "GPU           missing  no driver",
        "                       buy one",
    ]
    assert doctor_cli.verdict(checks) == "This machine cannot serve: tritonserver."
    assert not doctor.can_serve(checks)
    assert doctor.can_serve([checks[0], checks[2]])


def test_without_a_server_serving_is_impossible(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(locate, "wheel_root", lambda: None)
    assert run() == 1
    assert "cannot serve: tritonserver" in capsys.readouterr().out


def test_a_server_whose_libraries_do_not_load_is_a_problem(monkeypatch, tmp_path):
    broken = tmp_path / "tritonserver"
    broken.write_text("#!/bin/sh\necho 'error while loading shared libraries: libfoo.so.1' >&2\nexit 127\n")
    broken.chmod(0o755)
    install = locate.TritonInstall(broken, tmp_path, broken, "PATH")
    monkeypatch.setattr(locate, "find_triton", lambda: install)
    for check in (doctor_software.check_triton(), doctor_software.check_stub()):
        assert check.state == PROBLEM
        assert "libfoo" in check.detail
        assert check.needed


def test_numpy_2_with_the_bundled_server_is_the_trap(monkeypatch):
    monkeypatch.setattr(doctor_software, "_version", lambda name: "2.4.6")
    monkeypatch.setattr(doctor_software.shutil, "which", lambda name: None)
    check = doctor_software.check_numpy()
    assert check.state == PROBLEM
    assert "numpy<2" in check.remedy
    monkeypatch.setattr(doctor_software.shutil, "which", lambda name: "/opt/tritonserver/bin/tritonserver")
    assert doctor_software.check_numpy().state == OK


def test_a_taken_port_is_a_problem_that_does_not_forbid_serving():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen(1)
        check = doctor_machine.check_port("gRPC port", holder.getsockname()[1], "--grpc-port")
    assert check.state == PROBLEM
    assert not check.needed


def test_a_check_that_fails_by_itself_hides_no_other(monkeypatch):
    def check_gpu() -> Check:
        raise RuntimeError("driver gone mad")

    monkeypatch.setattr(doctor_machine, "check_gpu", check_gpu)
    found = {check.name: check for check in doctor.examine(*free_ports(2))}
    assert found["gpu"].detail == "RuntimeError: driver gone mad"
    assert found["Python"].state == OK


def test_too_little_shared_memory_forbids_serving(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor_machine, "SHM_DIR", tmp_path / "none")
    check = doctor_machine.check_shared_memory()
    assert check.state == PROBLEM
    assert check.needed
