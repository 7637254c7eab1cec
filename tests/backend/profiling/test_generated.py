"""Dashboard, rules and the metrics page are what the names say, and Prometheus accepts them."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tritone_backend.profiling.__main__ import generated
from tritone_backend.profiling.names import METRICS, Kind
from tritone_backend.profiling.rules import ALERTS, RECORDED

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "deploy" / "prometheus"


@pytest.fixture
def promtool():
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not installed (Debian package prometheus)")

    def run(*arguments, **options):
        ran = subprocess.run([found, *arguments], capture_output=True, text=True, timeout=60, check=False, **options)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    return run


@pytest.mark.parametrize("path", generated())
def test_the_committed_file_is_the_generated_one(path):
    assert (ROOT / path).read_text(encoding="utf-8") == generated()[path], "run python -m tritone_backend.profiling"


def test_names_follow_prometheus_and_say_what_they_are():
    for metric in METRICS:
        assert re.fullmatch(r"tritone_[a-z_]+[a-z]", metric.name)
        assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
        assert metric.help[0].isupper()
        assert not metric.help.endswith(".")


def test_promtool_accepts_rules_and_configuration(promtool):
    assert f"{len(RECORDED) + len(ALERTS)} rules found" in promtool("check", "rules", str(FOLDER / "rules.yml"))
    assert "SUCCESS" in promtool("check", "config", str(FOLDER / "prometheus.yml"))


def bucket(le, values):
    return {"series": f'tritone_chunk_seconds_bucket{{model="streaming_asr",instance="a",le="{le}"}}', "values": values}


def plain(name, values):
    return {"series": f'{name}{{model="streaming_asr",instance="a"}}', "values": values}


def firing(alert, at, **labels):
    expected = [{"exp_labels": {"instance": "a", **labels}}] if labels else []
    return {"eval_time": at, "alertname": alert, "exp_alerts": expected}


def test_alerts_fire_when_they_should_and_not_before(promtool, tmp_path):
    """A quiet hour, then one in which half of the chunks take 200 ms, 2 % are late and nearly all slots are taken."""
    quiet_then = "0+1000x60 {}+{}x60"
    series = [
        bucket("0.1", "0+1000x60 60500+500x60"),
        bucket("0.2", "0+1000x60 61000+1000x60"),
        bucket("+Inf", "0+1000x60 61000+1000x60"),
        plain("tritone_chunks_total", quiet_then.format(61000, 1000)),
        plain("tritone_late_total", "0x60 20+20x60"),
        plain("tritone_busy_seconds_total", "0+6x60 417+57x60"),
        plain("tritone_streams_slots", "64x121"),
        plain("tritone_streams_free", "60x60 2x60"),
        {
            "series": 'tritone_refused_total{model="streaming_asr",instance="a",reason="full"}',
            "values": "0x60 5+5x60",
        },
        plain("tritone_failed_total", "0x121"),
        {"series": 'up{job="tritone",instance="a"}', "values": "1x121"},
    ]
    asr = {"model": "streaming_asr"}
    loud = {
        "TritoneSlow": {"severity": "warning", **asr},
        "TritoneLate": {"severity": "critical", **asr},
        "TritoneFull": {"severity": "warning", **asr},
        "TritoneRefusing": {"severity": "warning", "reason": "full"},
        "TritoneNearCapacity": {"severity": "warning", **asr},
        "TritoneFailing": {},
        "TritoneDown": {},
    }
    assert set(loud) == {alert.name for alert in ALERTS}
    # promtool would compare the annotations' words as well
    rules = re.sub(r"(?m)^ {8}annotations:\n(?: {10}.*\n)+", "", (FOLDER / "rules.yml").read_text())
    (tmp_path / "rules.yml").write_text(rules)
    checks = [firing(name, "50m") for name in loud]
    checks += [firing(name, "110m", **labels) for name, labels in loud.items()]
    test = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": "15s",
        "tests": [{"interval": "1m", "input_series": series, "alert_rule_test": checks}],
    }
    (tmp_path / "test.yml").write_text(json.dumps(test))
    promtool("test", "rules", "test.yml", cwd=tmp_path)
