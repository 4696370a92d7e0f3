"""Languages on the command line: as people and systems write them, or one line that says how."""

from __future__ import annotations

from typing import Any

import typer

from voxmesh_runtime.language_tags import UnknownLanguage, canonical


def language_option(whose: str) -> Any:  # as typer.Option
    """An option that takes the language of something."""
    return typer.Option(parser=_tag, metavar="TAG", help=f"BCP-47 tag of {whose}.")


def _tag(text: str) -> str:
    try:
        return canonical(text) if text else ""
    except UnknownLanguage as error:
        raise typer.BadParameter(str(error)) from None
