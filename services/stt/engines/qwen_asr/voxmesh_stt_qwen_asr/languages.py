"""The model's names of languages and their BCP-47 tags."""

from __future__ import annotations

from collections.abc import Iterable

from voxmesh_runtime.language_tags import primary

_TAGS = {
    "Chinese": "zh",
    "English": "en",
    "Cantonese": "yue",
    "Arabic": "ar",
    "German": "de",
    "French": "fr",
    "Spanish": "es",
    "Portuguese": "pt",
    "Indonesian": "id",
    "Italian": "it",
    "Korean": "ko",
    "Russian": "ru",
    "Thai": "th",
    "Vietnamese": "vi",
    "Japanese": "ja",
    "Turkish": "tr",
    "Hindi": "hi",
    "Malay": "ms",
    "Dutch": "nl",
    "Swedish": "sv",
    "Danish": "da",
    "Finnish": "fi",
    "Polish": "pl",
    "Czech": "cs",
    "Filipino": "fil",
    "Persian": "fa",
    "Greek": "el",
    "Romanian": "ro",
    "Hungarian": "hu",
    "Macedonian": "mk",
}
_NAMES = {tag: name for name, tag in _TAGS.items()}

ALL_NAMES = tuple(_TAGS)
"""Every language that the package knows, by its own names."""
ALIGNER_NAMES = (
    *("Chinese", "English", "Cantonese", "French", "German", "Italian"),
    *("Japanese", "Korean", "Portuguese", "Russian", "Spanish"),
)
"""Languages of the published forced aligner."""


def language_name(tag: str) -> str:
    """The model's name of a language that `tag_of` has a tag for; script and region do not matter."""
    return _NAMES[primary(tag)]


def tag_of(name: str) -> str:
    """The BCP-47 tag of the first language in what the model calls it; "" if there is none."""
    return _TAGS.get(name.split(",", 1)[0].strip().capitalize(), "")


def tags_of(names: Iterable[str]) -> tuple[str, ...]:
    """The tags of those languages that have one."""
    return tuple(tag for tag in map(tag_of, names) if tag)
