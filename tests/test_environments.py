"""Engines share environments: which, on which pins, and what is kept of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import engine_env
import environment_cache
import pytest
from distributions import Distribution, with_own_distributions
from engine_env import Step, chosen, table
from environments import Environment, environments, optional_engines
from lock import departures, left_out_of, pins

pytestmark = pytest.mark.unit


def distribution(
    name: str, *dependencies: str, test: tuple[str, ...] = (), path: Path | None = None, **own: str | tuple[str, ...]
) -> Distribution:
    """An engine's distribution."""
    folder = path or Path("services/tts/engines") / name
    extras = {"test": test} if test else {}
    return Distribution(name, folder, dependencies, extras, (), default=False, **own)  # type: ignore[arg-type]


KOKORO = distribution("kokoro", environment="transformers")
QWEN = distribution("qwen", environment="transformers")
NEMO = distribution("nemo")
EVERY = environments([KOKORO, NEMO, QWEN])


def test_engines_that_name_an_environment_share_it_and_others_are_alone() -> None:
    assert {name: one.engines for name, one in EVERY.items()} == {"transformers": (KOKORO, QWEN), "nemo": (NEMO,)}


def test_an_environment_is_not_called_like_an_engine_outside_it() -> None:
    with pytest.raises(ValueError, match="named like an engine outside it"):
        environments([distribution("light", environment="transformers"), distribution("other", environment="light")])


def test_an_environment_may_be_called_like_one_of_its_engines() -> None:
    two = [distribution("light", environment="light"), distribution("other", environment="light")]
    assert environments(two) == {"light": Environment("light", tuple(two))}


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ([], {"transformers": [KOKORO, QWEN], "nemo": [NEMO]}),
        (["qwen"], {"transformers": [QWEN]}),
        (["transformers"], {"transformers": [KOKORO, QWEN]}),
        (["nemo", "kokoro"], {"transformers": [KOKORO], "nemo": [NEMO]}),
        (["kokoro", "transformers"], {"transformers": [KOKORO, QWEN]}),
    ],
)
def test_engines_are_chosen_by_their_name_or_their_environments(
    names: list[str], found: dict[str, list[Distribution]]
) -> None:
    assert chosen(names, EVERY) == found


def test_a_name_that_nothing_has_is_refused() -> None:
    with pytest.raises(ValueError, match="no such engine or environment: kokorro"):
        chosen(["qwen", "kokorro"], EVERY)


def test_torch_is_pinned_once_for_all_engines_of_an_environment(tmp_path: Path) -> None:
    engines = [distribution(name, path=tmp_path / name) for name in ("none", "one", "two")]
    for engine in engines:
        engine.path.mkdir()
    environment = Environment("shared", tuple(engines))
    assert environment.torch == ""
    for name in ("one", "two"):
        (tmp_path / name / "torch.txt").write_text("torch==2.13.0\n")
    assert environment.torch == "torch==2.13.0"
    (tmp_path / "two/torch.txt").write_text("torch==2.14.0\n")
    with pytest.raises(ValueError, match=r"pin torch differently \(one: torch==2.13.0, two: torch==2.14.0\)"):
        _ = environment.torch


def test_what_tests_alone_need_is_followed_for_the_engine_and_for_nothing_below_it() -> None:
    helpers = distribution("helpers", "service")
    service = distribution("service", test=("never",))
    known = {one.name: one for one in (helpers, service, distribution("never"))}
    engine = distribution("engine", "service", "numpy>=2", test=("helpers", "jiwer"))
    assert with_own_distributions([engine], known) == [service, engine]
    assert with_own_distributions([engine], known, tested=True) == [service, helpers, engine]


LOCK = """\
numpy==2.4.6 ; python_full_version < '3.12' \\
    --hash=sha256:00
numpy==2.5.5 ; python_full_version >= '3.12' \\
    --hash=sha256:00
transformers==4.57.3 \\
    --hash=sha256:00
"""


def test_pins_are_the_versions_on_any_platform() -> None:
    assert pins(LOCK) == {"numpy": {"2.4.6", "2.5.5"}, "transformers": {"4.57.3"}}


def test_pins_that_are_not_tested_are_told() -> None:
    assert departures(LOCK, LOCK) == {}
    assert departures(LOCK, LOCK.replace("4.57.3", "4.57.6")) == {"transformers": "4.57.3, tested: 4.57.6"}
    assert departures("httpx==0.28.1 \\\n" + LOCK, LOCK) == {"httpx": "0.28.1, tested: none"}


def test_what_one_engine_leaves_out_stays_where_another_holds_it() -> None:
    one, two = distribution("one", leave_out=("numpy", "misaki")), distribution("two", leave_out=("gradio",))
    # What its lock still holds of what an engine leaves out is from earlier.
    assert left_out_of([(one, "gradio==6.0 \\\nmisaki==1 \\\n"), (two, LOCK)]) == {"misaki"}
    assert left_out_of([(one, ""), (two, LOCK)]) == {"misaki", "gradio"}


CONFIGURATION = """\
global.cert='/etc/ssl/ca.crt'
global.extra-index-url='https://one.example/simple https://two.example/simple'
global.index-url='https://old.example/simple?a=b'
:env:.find-links='/wheels /more'
:env:.index-url='https://new.example/simple?a=b'
"""


def test_uv_is_told_what_pip_knows_of_where_packages_are() -> None:
    assert environment_cache.in_words_of_uv(CONFIGURATION) == {
        "UV_DEFAULT_INDEX": "https://new.example/simple?a=b",
        "UV_FIND_LINKS": "/wheels,/more",
    }


def test_the_table_tells_every_step_and_how_long_all_took() -> None:
    steps = [Step("light", "types", 20.4, is_well=True), Step("light", "tesseract", 39.6, is_well=False)]
    assert [line.split() for line in table(steps, 41.2).splitlines()] == [
        ["light", "types", "20", "s", "passed"],
        ["light", "tesseract", "40", "s", "FAILED"],
        ["all", "41", "s"],
    ]


def test_what_fails_or_crashes_is_told_and_hides_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(environment: Environment) -> None:
        if environment.name == "nemo":
            raise subprocess.CalledProcessError(1, "uv")

    programs = {"kokoro": "import os; os.abort()", "qwen": "print('all is well')"}

    def commands(_: Environment, engines: list[Distribution], __: list[str]) -> list[tuple[str, list[str]]]:
        return [(engine.path.name, [sys.executable, "-c", programs[engine.path.name]]) for engine in engines]

    monkeypatch.setattr(engine_env, "make", make)
    monkeypatch.setattr(engine_env, "_commands", commands)
    steps = engine_env.test([(one, list(one.engines)) for one in EVERY.values()], [], jobs=2)
    assert [(step.environment, step.name, step.is_well) for step in steps] == [
        ("nemo", "environment", False),
        ("transformers", "environment", True),
        ("transformers", "kokoro", False),
        ("transformers", "qwen", True),
    ]
    assert steps[-1].said == "all is well\n"


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """An environment of one package and one distribution that anybody can install without a network."""
    for name in ("environments.LOCKS", "environments.HERE"):
        monkeypatch.setattr(name, tmp_path / name)
    monkeypatch.setenv("VOXMESH_ENVIRONMENTS", str(tmp_path / "kept"))
    engine = distribution("engine", path=tmp_path / "engine")
    engine.path.mkdir()
    (engine.path / "pyproject.toml").write_text('[project]\nname = "engine"\nversion = "1"\n')
    environment = Environment("small", (engine,))
    environment.lock.parent.mkdir()
    environment.lock.write_text("")
    return environment


def test_packages_are_made_once_and_again_when_broken_off_or_pinned_otherwise(
    small: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed: list[str] = []

    def install(folder: Path, *arguments: str) -> None:
        # The installer is a tool from outside; what is asked of it is what counts here.
        installed.append("own" if "-e" in arguments else folder.name)

    monkeypatch.setattr(environment_cache, "_install", install)
    python = environment_cache.make(small)
    first = f"small-{small.key()}"
    assert installed == [first, "own"]
    assert environment_cache.make(small) == python
    assert installed == [first, "own"]

    (environment_cache.cache() / first / environment_cache.STAMP).unlink()
    environment_cache.make(small)
    assert installed == [first, "own", first]

    small.lock.write_text("# another\n")
    second = f"small-{small.key()}"
    environment_cache.make(small)
    assert installed == [first, "own", first, second, "own"]
    assert environment_cache.prune([small]) == [environment_cache.cache() / first]
    assert (small.folder.parent / "engine").readlink() == Path("small")


def test_a_checkouts_environment_imports_kept_packages_with_their_pth_files(
    small: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def install(folder: Path, *arguments: str) -> None:
        if "-e" not in arguments:
            [site] = folder.glob("lib/python3*/site-packages")
            (site / "kept_package.py").write_text("")
            (site / "further.pth").write_text("import sys; sys.further = True\n")

    monkeypatch.setattr(environment_cache, "_install", install)
    ask = "import sys, kept_package; print(sys.further, kept_package.__file__)"
    command = [environment_cache.make(small), "-c", ask]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert told[0] == "True"
    assert Path(told[1]).is_relative_to(environment_cache.cache())


def test_the_locks_of_this_project_hold_what_containers_hold() -> None:
    for environment in environments(optional_engines().values()).values():
        lock = environment.lock.read_text()
        assert environment.torch.startswith("torch==") or not environment.torch
        for engine in environment.engines:
            told = departures((engine.path / "requirements.txt").read_text(), lock)
            assert told == {}, f"{engine.name} is tested on other packages than its container's: run make lock"
