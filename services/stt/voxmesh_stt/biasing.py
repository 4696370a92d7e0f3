"""One message for every recogniser: what becomes of `Biasing` where an engine has no phrases, or no context.

Models that read a text before they listen barely notice a bare list of two words; several names
in a sentence move them. `rich_context` makes such a sentence of any list.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Generic, TypeVar

from voxmesh_runtime.control_tokens import refuse_control_tokens
from voxmesh_stt.engine import Phrase, RecognitionOptions

PHRASES = "config.biasing.phrases"
CONTEXT = "config.biasing.context"

_SENTENCE = "The following names and terms come up in this conversation: {}."
_SEPARATOR = ", "
_SPARSE = 4
"""Fewer terms than this are a sparse list, whose terms are said once more."""
_AGAIN = " We talk about {0}, and somebody says {0}."

KeyT = TypeVar("KeyT", bound=Hashable)
T = TypeVar("T")


def phrase_field(index: int) -> str:
    """The path of a phrase's outcome."""
    return f"{PHRASES}[{index}]"


def refuse_marks(options: RecognitionOptions) -> None:
    """Check phrases and context for control tokens, for an engine whose model reads them as a prompt.

    Raises:
        InvalidArgument: names the field and the token.
    """
    refuse_control_tokens(CONTEXT, options.context)
    for index, phrase in enumerate(options.phrases):
        refuse_control_tokens(f"{phrase_field(index)}.text", phrase.text)


def strongest_first(phrases: Iterable[Phrase]) -> list[Phrase]:
    """Each text once, with its strongest boost; equal ones stay in the caller's order."""
    strongest: dict[str, Phrase] = {}
    for phrase in phrases:
        known = strongest.get(phrase.text)
        if known is None or known.boost < phrase.boost:
            strongest[phrase.text] = phrase
    return sorted(strongest.values(), key=lambda phrase: -phrase.boost)


def rich_context(options: RecognitionOptions, *, max_characters: int) -> tuple[str, list[int]]:
    """A text that names every phrase, after the caller's own context.

    Phrases that the context already holds are not repeated. The strongest come first, and what
    does not fit is left out.

    Returns:
        The text, at most `max_characters` long, and the indices of the phrases left out.
    """
    context = options.context.strip()[:max_characters].rstrip()
    wanted = [phrase.text for phrase in strongest_first(options.phrases) if phrase.text not in context]
    taken: list[str] = []
    room = max_characters - len(f"{context} {_SENTENCE.format('')}".lstrip())
    for text in wanted:
        separated = len(text) + (len(_SEPARATOR) if taken else 0)
        if separated <= room:
            taken.append(text)
            room -= separated
    left_out = set(wanted) - set(taken)
    indices = [index for index, phrase in enumerate(options.phrases) if phrase.text in left_out]
    return _joined(context, taken, room), indices


def _joined(context: str, terms: Sequence[str], room: int) -> str:
    if not terms:
        return context
    sentence = _SENTENCE.format(_SEPARATOR.join(terms))
    again = "".join(_AGAIN.format(term) for term in terms)
    if len(terms) < _SPARSE and len(again) <= room:
        sentence += again
    return f"{context} {sentence}".strip()


class Shared(Generic[KeyT, T]):
    """Things that are dear to make, such as a tree of thousands of phrases: one for all streams that ask alike.

    A thing in use is kept; of the others the latest `max_unused` are. Used on the engine's thread alone.

    Args:
        make: makes the thing of a key; may raise.
        free: gives a thing back.
    """

    def __init__(self, make: Callable[[KeyT], T], free: Callable[[T], object], max_unused: int = 8) -> None:
        self._make = make
        self._free = free
        self._max_unused = max_unused
        self._used: dict[KeyT, tuple[T, int]] = {}
        self._unused: OrderedDict[KeyT, T] = OrderedDict()

    def take(self, key: KeyT) -> T:
        """The thing of `key`, for one more user."""
        if key in self._used:
            thing, users = self._used[key]
        else:
            thing, users = self._unused.pop(key) if key in self._unused else self._make(key), 0
        self._used[key] = (thing, users + 1)
        return thing

    def give_back(self, key: KeyT) -> None:
        """One user of `key` less."""
        thing, users = self._used.pop(key)
        if users > 1:
            self._used[key] = (thing, users - 1)
            return
        self._unused[key] = thing
        while len(self._unused) > self._max_unused:
            self._free(self._unused.popitem(last=False)[1])

    def close(self) -> None:
        """Free what nobody uses."""
        while self._unused:
            self._free(self._unused.popitem()[1])
