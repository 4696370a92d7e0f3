"""Progress is a bar on a terminal and a few lines of log elsewhere."""

import io
import logging

import pytest
from rich.console import Console

from voxmesh_runtime.models import progress_bar

pytestmark = pytest.mark.unit


def percents(caplog: pytest.LogCaptureFixture) -> list[int]:
    return [record.__dict__["percent"] for record in caplog.records]


def test_without_a_terminal_every_quarter_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    output = io.StringIO()
    with progress_bar("tiny-weights", Console(file=output)) as progress:
        for done in range(0, 1001, 10):
            progress(done, 1000)
    assert percents(caplog) == [25, 50, 75, 100]
    assert {record.__dict__["model"] for record in caplog.records} == {"tiny-weights"}
    assert not output.getvalue()


def test_a_fast_download_skips_quarters_and_an_unknown_total_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with progress_bar("tiny-weights", Console(file=io.StringIO())) as progress:
        progress(500, 0)
        progress(800, 1000)
        progress(1000, 1000)
    assert percents(caplog) == [75, 100]


def test_a_terminal_shows_a_bar_and_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    output = io.StringIO()
    with progress_bar("tiny-weights", Console(file=output, force_terminal=True, width=100)) as progress:
        progress(1_000_000, 1_000_000)
    assert "tiny-weights" in output.getvalue()
    assert "1.0/1.0 MB" in output.getvalue()
    assert not caplog.records
