"""The 22 languages of the model, and the choice of one for a stream."""

from __future__ import annotations

from voxmesh_runtime.errors import FailedPrecondition, InvalidArgument
from voxmesh_runtime.language_tags import primary
from voxmesh_runtime.outcomes import Outcome, approximated
from voxmesh_runtime.quoting import quote
from voxmesh_runtime.refusals import not_among
from voxmesh_stt.engine import RecognitionOptions

LANGUAGES = (
    *("as", "bn", "brx", "doi", "gu", "hi", "kn", "kok", "ks", "mai", "ml"),
    *("mni", "mr", "ne", "or", "pa", "sa", "sat", "sd", "ta", "te", "ur"),
)
"""ISO 639 codes as the model's files name them: the scheduled languages of India."""

FIELD = "config.language_codes"


def checked_default(code: str) -> str:
    """The operator's default language as the model names it; "" stays so.

    Raises:
        FailedPrecondition: the model does not know it.
    """
    if code and primary(code) not in LANGUAGES:
        message = f"default language {not_among(code, LANGUAGES, 'the model knows')}"
        raise FailedPrecondition("language", code, message)
    return primary(code)


def chosen(options: RecognitionOptions, default: str) -> str:
    """The stream's language.

    Raises:
        InvalidArgument: the caller names none, and the operator has no default.
    """
    if options.language_codes:
        return primary(options.language_codes[0])
    if not default:
        problem = f"is required, since the model detects no language; it knows {', '.join(LANGUAGES)}"
        raise InvalidArgument(FIELD, problem)
    return default


def outcomes(options: RecognitionOptions) -> list[Outcome]:
    """What becomes of several languages; a single one is simply applied."""
    if not options.language_codes[1:]:
        return []
    first = options.language_codes[0]
    return [approximated(FIELD, f"the model takes one language a stream: {quote(first)}, the first, is used")]
