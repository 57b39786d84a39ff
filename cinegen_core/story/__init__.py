"""The nouns that everything else speaks in, and the ways in and out of them. Imports nothing of ours."""

from cinegen_core.story.bible import Arc, Character, Location, StoryBible, World
from cinegen_core.story.episode import Action, Beat, Dialogue, Element, Episode, Scene, Transition
from cinegen_core.story.outline import Draft, Outline, SceneOutline
from cinegen_core.story.request import EpisodeRequest, Policy
from cinegen_core.story.state import (
    Change,
    Choice,
    Effect,
    Knowledge,
    Relationship,
    StoryState,
    Thread,
    Whereabouts,
)

__all__ = [
    "Action",
    "Arc",
    "Beat",
    "Change",
    "Character",
    "Choice",
    "Dialogue",
    "Draft",
    "Effect",
    "Element",
    "Episode",
    "EpisodeRequest",
    "Knowledge",
    "Location",
    "Outline",
    "Policy",
    "Relationship",
    "Scene",
    "SceneOutline",
    "StoryBible",
    "StoryState",
    "Thread",
    "Transition",
    "Whereabouts",
    "World",
]
