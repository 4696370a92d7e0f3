"""Typed client and command line of voxmesh."""

from voxmesh_client.conversation import Conversation
from voxmesh_client.embeddings import Embeddings
from voxmesh_client.errors import FieldViolation, MeshError
from voxmesh_client.events import Event, SessionReplaced, SpeechStarted
from voxmesh_client.language_model import LanguageModel
from voxmesh_client.mesh import Mesh
from voxmesh_client.settings import MeshSettings
from voxmesh_client.speech_to_text import SpeechToText
from voxmesh_client.text_to_speech import TextToSpeech
from voxmesh_client.turn_detection import TurnDetection
from voxmesh_client.vision_language import VisionLanguage

__all__ = [
    "Conversation",
    "Embeddings",
    "Event",
    "FieldViolation",
    "LanguageModel",
    "Mesh",
    "MeshError",
    "MeshSettings",
    "SessionReplaced",
    "SpeechStarted",
    "SpeechToText",
    "TextToSpeech",
    "TurnDetection",
    "VisionLanguage",
]
