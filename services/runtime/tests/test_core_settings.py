"""What an operator meets: settings, help, logs, the probe."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError
from pydantic_settings import CliApp

from voxmesh_runtime.clock import WorkClock, duration, seconds_of, timestamp
from voxmesh_runtime.engines import load_engine
from voxmesh_runtime.errors import NotFound
from voxmesh_runtime.logs import FieldFormatter
from voxmesh_runtime.probe import main as probe
from voxmesh_runtime.settings import ServerSettings

pytestmark = pytest.mark.unit


def test_variables_set_what_the_command_line_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "VOXMESH_PORT": "50052",
        "VOXMESH_MAX_STREAMS": "7",
        "VOXMESH_CACHE_DIR": "models",
        "VOXMESH_PARENT_PID": "42",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317",
    }.items():
        monkeypatch.setenv(name, value)
    settings = CliApp.run(ServerSettings, ["--max-streams", "9"])
    assert (settings.port, settings.max_streams, settings.cache_dir) == (50052, 9, Path("models"))
    assert (settings.parent_pid, settings.otlp_endpoint) == (42, "http://collector:4317")


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VOXMESH_MODEL", "VOXMESH_PORT", "OTEL_EXPORTER_OTLP_ENDPOINT"):
        monkeypatch.setenv(name, "")
    settings = ServerSettings()
    assert (settings.model, settings.port, settings.otlp_endpoint) == (None, 0, None)


def test_the_endpoint_has_a_flag_of_its_own() -> None:
    assert CliApp.run(ServerSettings, ["--otlp-endpoint", "http://a:1"]).otlp_endpoint == "http://a:1"


@pytest.mark.parametrize(
    ("field", "value"),
    [("port", -1), ("max_streams", 0), ("write_timeout_s", 0), ("drain_s", -1), ("threads", 0), ("log_level", "LOUD")],
)
def test_a_value_out_of_range_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(ValidationError, match=field):
        ServerSettings.model_validate({field: value})


def test_every_setting_is_explained() -> None:
    assert [name for name, field in ServerSettings.model_fields.items() if not field.description] == []


def test_help_shows_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        CliApp.run(ServerSettings, ["--help"])
    assert end.value.code == 0
    shown = capsys.readouterr().out
    assert [name for name in ServerSettings.model_fields if f"--{name.replace('_', '-')} " not in shown] == []


def test_a_flag_that_does_not_exist_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        CliApp.run(ServerSettings, ["--prot", "1"])
    assert end.value.code == 2
    assert "unrecognized arguments" in capsys.readouterr().err


def record(**fields: object) -> logging.LogRecord:
    return logging.makeLogRecord({"msg": "draining", "levelname": "INFO", **fields})


def test_a_record_is_one_line_with_its_fields() -> None:
    formatter = FieldFormatter("%(levelname)s: %(message)s")
    assert formatter.format(record(streams=3)) == "INFO: draining streams=3"
    assert formatter.format(record()) == "INFO: draining"
    assert formatter.format(record(name_of="a\nforged line")) == "INFO: draining name_of='a\\nforged line'"


def test_a_traceback_follows_the_fields() -> None:
    error = ValueError("broken")
    raised = (ValueError, error, None)
    lines = FieldFormatter("%(message)s").format(record(method="M", exc_info=raised)).splitlines()
    assert lines[0] == "draining method=M"
    assert lines[-1] == "ValueError: broken"


def test_the_probe_fails_where_nothing_listens_and_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert probe(["127.0.0.1:1"]) == 1
    assert probe([]) == 2
    assert "HOST:PORT" in capsys.readouterr().err


def test_the_probe_is_a_command() -> None:
    done = subprocess.run([sys.executable, "-m", "voxmesh_runtime.probe", "127.0.0.1:1"], check=False, timeout=20)
    assert done.returncode == 1


def test_an_engine_that_is_not_installed_is_named_with_those_that_are() -> None:
    with pytest.raises(NotFound, match=r"stt engine 'none such' is not installed \(installed: .*\)"):
        load_engine("stt", "none such")


@pytest.mark.parametrize("seconds", [0.0, 1.5, -0.25, -1.75, 86_400.000000001])
def test_times_survive_the_wire(seconds: float) -> None:
    assert seconds_of(duration(seconds)) == pytest.approx(seconds, abs=1e-9)
    sent = duration(seconds)
    assert sent.seconds * sent.nanos >= 0


def test_a_timestamp_keeps_every_nanosecond() -> None:
    assert timestamp(1_700_000_000_123_456_789).ToNanoseconds() == 1_700_000_000_123_456_789


def test_a_clock_adds_steps_and_keeps_the_first_of_each_time() -> None:
    clock = WorkClock(received_ns=1)
    clock.worked(started_ns=2, compute_s=0.5, queued_s=0.25, batch_size=3)
    clock.worked(started_ns=9, compute_s=0.5, queued_s=0.25, batch_size=2)
    clock.output()
    first_output_ns = clock.first_output_ns
    clock.output()
    timing = clock.to_proto()
    assert (timing.received_time.ToNanoseconds(), timing.started_time.ToNanoseconds()) == (1, 2)
    assert timing.first_output_time.ToNanoseconds() == first_output_ns
    assert (timing.compute_duration.ToMilliseconds(), timing.queue_duration.ToMilliseconds()) == (1000, 500)
    assert timing.batch_size == 3
    assert not WorkClock.start().to_proto().HasField("first_output_time")


def test_work_whose_answer_is_its_only_output_puts_it_out_when_it_finishes() -> None:
    timing = WorkClock.start().to_proto(is_output=True)
    assert timing.first_output_time == timing.finished_time
    clock = WorkClock.start()
    clock.output()
    later = clock.to_proto(is_output=True)
    assert later.first_output_time.ToNanoseconds() == clock.first_output_ns
    assert later.first_output_time.ToNanoseconds() <= later.finished_time.ToNanoseconds()
