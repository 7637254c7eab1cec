from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from tritone_backend.serve import ServeError, locate

pytestmark = pytest.mark.unit


def lay_out(root: Path, *, stub_for: str | None, stubs: tuple[str, ...] = ()) -> Path:
    """A tree shaped like an installation; with `stub_for` like the container's, with `stubs` like the wheel's."""
    for name in ("bin/tritonserver", *(f"backends/python/{file}" for file in locate.BACKEND_FILES)):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("#!/bin/sh\n")
        (root / name).chmod(0o755)
    if stub_for:
        (root / "backends/python" / locate.STUB_NAME).write_bytes(b"\0libpython%b.so.1.0\0" % stub_for.encode())
    for version in stubs:
        folder = root / "python_backend_stubs" / version
        folder.mkdir(parents=True)
        (folder / locate.STUB_NAME).write_bytes(b"stub")
    return root / "bin"


def test_a_server_on_the_path_with_its_own_stub_needs_no_private_backend(tmp_path):
    binaries = lay_out(tmp_path, stub_for=locate.running_version())
    install = locate.find_triton(str(binaries))
    assert install.source == "PATH"
    assert not install.needs_private_backend
    assert locate.prepare_backend_dir(install, tmp_path / "private") == tmp_path / "backends"


def test_a_container_with_another_python_is_refused_with_the_remedy(tmp_path):
    binaries = lay_out(tmp_path, stub_for="3.7")
    with pytest.raises(ServeError, match=r"install tritone with python3\.7"):
        locate.find_triton(str(binaries))


def test_a_private_backend_links_the_stub_of_this_python(tmp_path):
    binaries = lay_out(tmp_path / "t", stub_for=None, stubs=("3.7", locate.running_version()))
    install = locate.find_triton(str(binaries))
    for _ in range(2):  # a second start finds the links of the first
        backends = locate.prepare_backend_dir(install, tmp_path / "private")
    stub = backends / "python" / locate.STUB_NAME
    assert stub.resolve().parent.name == locate.running_version()
    assert {path.name for path in (backends / "python").iterdir()} == {locate.STUB_NAME, *locate.BACKEND_FILES}


def test_a_python_without_a_stub_is_told_which_ones_have_one(tmp_path):
    binaries = lay_out(tmp_path, stub_for=None, stubs=("3.9", "3.10"))
    if locate.running_version() in {"3.9", "3.10"}:
        pytest.skip("this Python has one of these stubs")
    with pytest.raises(ServeError, match=r"3\.9, 3\.10"):
        locate.find_triton(str(binaries))


def test_an_incomplete_server_is_refused(tmp_path):
    binaries = lay_out(tmp_path, stub_for=locate.running_version())
    (tmp_path / "backends/python/libtriton_python.so").unlink()
    with pytest.raises(ServeError, match=r"libtriton_python\.so is missing"):
        locate.find_triton(str(binaries))


def test_no_server_at_all_names_both_ways_to_get_one(tmp_path, monkeypatch):
    monkeypatch.setattr(locate, "wheel_root", lambda: None)
    with pytest.raises(ServeError, match=r"tritone\[server\].*container"):
        locate.find_triton(str(tmp_path))


def test_the_wheel_is_found_without_importing_it():
    already = "pytriton" in sys.modules
    root = locate.wheel_root()
    assert root is not None
    assert (root / "bin" / "tritonserver").is_file()
    assert ("pytriton" in sys.modules) == already


def test_the_environment_puts_this_python_first():
    here = str(Path(sys.executable).parent)
    environment = locate.server_environment({"PATH": f"/usr/bin:{here}", "LD_LIBRARY_PATH": "/x", "KEPT": "1"})
    assert environment["PATH"] == os.pathsep.join([here, "/usr/bin"])
    assert environment["KEPT"] == "1"
    library = locate.libpython_dir()
    expected = "/x" if library is None else f"{library}{os.pathsep}/x"
    assert environment["LD_LIBRARY_PATH"] == expected
