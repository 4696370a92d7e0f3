"""Language tags as people, systems and models write them, made one: BCP-47 as CLDR prefers it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Annotated

import langcodes
from langcodes.tag_parser import LanguageTagError
from pydantic import AfterValidator

from voxmesh_runtime.errors import InvalidArgument
from voxmesh_runtime.quoting import quote

MAX_TAG_CHARACTERS = 64

_POSIX = re.compile(r"(?P<tag>[^.@]+)(?:\.[^.@]*)?(?:@(?P<modifier>[^.@]*))?")
"""A locale of POSIX: language_TERRITORY.codeset@modifier."""
_SCRIPTS = {"latin": "Latn", "cyrillic": "Cyrl", "devanagari": "Deva"}
"""Scripts that POSIX names by a modifier; other modifiers, such as `euro`, say nothing of the language."""
_SAME = {"nb": "no"}
"""Written Norwegian is Bokmål; CLDR tells the two apart by nothing."""


class UnknownLanguage(ValueError):
    """A text that names no language; says what to write instead."""

    def __init__(self, tag: str) -> None:
        super().__init__(f"{quote(tag)} is no language tag; write one of BCP-47, such as en, kn-IN or zh-Hans")


def canonical(tag: str) -> str:
    """The tag that CLDR prefers: `en-US` of `en_US.UTF-8`, `he` of `iw`, `zh-Hans-CN` of `cmn-Hans-CN`.

    Raises:
        UnknownLanguage: it names no language.
    """
    found = _known(tag)
    if not found:
        raise UnknownLanguage(tag)
    return found


LanguageTag = Annotated[str, AfterValidator(canonical)]
"""A language in settings, canonical once it is read."""


def checked(field: str, tag: str) -> str:
    """`canonical` for the field of a request.

    Raises:
        InvalidArgument: names `field`.
    """
    try:
        return canonical(tag)
    except UnknownLanguage as error:
        raise InvalidArgument(field, str(error)) from None


def primary(tag: str) -> str:
    """The language alone, without script and region: `en` of `en-IN`, `no` of `nb`; empty for what is no tag."""
    language = _known(tag).partition("-")[0]
    return _SAME.get(language, language)


def script(tag: str) -> str:
    """The script that a language is written in, ISO 15924: `Knda` of `kn`, `Cyrl` of `sr`, `Latn` of `sr-Latn`.

    Empty for what is no tag.
    """
    known = _known(tag)
    return langcodes.get(known).maximize().script or "" if known else ""


def best_match(wanted: str, supported: Iterable[str]) -> str | None:
    """The one of `supported` that is the same tag, else the first of the same language, as it is written there."""
    near = [tag for tag in supported if primary(tag) == primary(wanted) != ""]
    same = (tag for tag in near if _known(tag) == _known(wanted))
    return next(same, near[0] if near else None)


def _known(tag: str) -> str:
    """The canonical tag; "" for what is none."""
    return _standard(tag) if len(tag) <= MAX_TAG_CHARACTERS else ""


@lru_cache(maxsize=1024)
def _standard(tag: str) -> str:
    parts = _POSIX.fullmatch(tag)
    if parts is None:
        return ""
    try:
        found = langcodes.standardize_tag(_with_script(parts["tag"], parts["modifier"]), macro=True)
    except LanguageTagError:
        return ""
    return found if langcodes.tag_is_valid(found) else ""


def _with_script(tag: str, modifier: str | None) -> str:
    script = _SCRIPTS.get((modifier or "").lower())
    language, separator, rest = tag.replace("_", "-").partition("-")
    return tag if script is None else f"{language}-{script}{separator}{rest}"
