"""The `voxmesh` command: its verbs, and errors as one line with an exit code."""

from __future__ import annotations

import sys

import typer
from pydantic import ValidationError

from voxmesh_client.bench.problems import BenchUsage
from voxmesh_client.cli.ask import ask
from voxmesh_client.cli.bench import bench
from voxmesh_client.cli.chat import chat
from voxmesh_client.cli.console import Failed, end_output, err, prepare_output
from voxmesh_client.cli.demo import demo
from voxmesh_client.cli.examples import help_of
from voxmesh_client.cli.picture import read
from voxmesh_client.cli.replay import replay
from voxmesh_client.cli.speech import speak, transcribe
from voxmesh_client.cli.status import models, status
from voxmesh_client.cli.talk import talk
from voxmesh_client.cli.text import generate
from voxmesh_client.cli.trace import trace
from voxmesh_client.cli.up import up
from voxmesh_client.cli.vectors import embed, rerank
from voxmesh_client.errors import MeshError
from voxmesh_client.local.supervisor import PortsTaken
from voxmesh_client.speaker import NoAudioDevice
from voxmesh_runtime.audio import AudioFileError
from voxmesh_runtime.files import problem_with

FAILURE = 1
USAGE = 2
INTERRUPTED = 130

app = typer.Typer(
    name="voxmesh",
    help="Hear, think, see, remember and speak: run a mesh of model services and talk to it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Start with: voxmesh up    then, in another terminal: voxmesh ask question.wav",
)


_VERBS = (up, status, models, ask, talk, chat, transcribe, speak, generate, read, embed, rerank, trace, replay, demo)
for _verb in _VERBS:
    app.command(help=help_of(_verb))(_verb)
app.add_typer(bench, name="bench")


def main() -> None:
    """Run the command line; errors go to stderr and never as a traceback."""
    prepare_output()
    try:
        app()
    except BrokenPipeError:
        # The reader has gone, as with `| head`.
        sys.exit(FAILURE)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except (MeshError, Failed, PortsTaken, NoAudioDevice, AudioFileError) as error:
        fail(str(error), FAILURE)
    except OSError as error:
        fail(problem_with(error), FAILURE)
    except UnicodeError:
        fail("the text given holds bytes that are no UTF-8; convert it, for example with iconv", USAGE)
    except BenchUsage as error:
        fail(str(error), USAGE)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        fail(f"settings from VOXMESH_* variables are wrong: {wrong}", USAGE)
    finally:
        end_output()


def fail(message: str, code: int) -> None:
    """Print an error and end with an exit code."""
    err.print(f"voxmesh: {' '.join(message.split())}", markup=False, style="red")
    sys.exit(code)
