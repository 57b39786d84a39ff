"""All that may be asked, each with the words that the OpenAPI document has for it."""

from __future__ import annotations

from cinegen_core.api.answers import (
    Able,
    AlertsAnswer,
    EmergencyAnswer,
    EpisodeAnswer,
    FlagsAnswer,
    FlagsChanged,
    HealthAnswer,
    JobAccepted,
    JobAnswer,
    MetricsAnswer,
    Noted,
    Silenced,
)
from cinegen_core.api.bodies import (
    AcknowledgeBody,
    CommandBody,
    EmergencyBody,
    FeedbackBody,
    FlagBody,
    GenerateBody,
    SilenceBody,
)
from cinegen_core.api.commands import acknowledge, emergency, feedback, rearm, roll_back, set_flag, silence
from cinegen_core.api.endpoint import Endpoint, Parameter, writing
from cinegen_core.api.episodes import follow_job, generate, show_job, stop_job
from cinegen_core.api.figures import LONGEST_SPAN, QUESTIONS, able, figures, prometheus

ENDPOINTS = (
    Endpoint(
        "GET",
        "/generate/episode",
        "Figures: health, metrics, flags or alerts. That of flags says in the header Cinegen-Flags-Version which version "
        "commands may name.",
        figures,
        {200: (HealthAnswer, MetricsAnswer, FlagsAnswer, AlertsAnswer)},
        query=(
            Parameter("endpoint", {"type": "string", "enum": list(QUESTIONS)}, "Which figures.", True),
            Parameter(
                "hours",
                {"type": "number", "exclusiveMinimum": 0, "maximum": LONGEST_SPAN, "default": 24},
                "How far metrics and flags look back.",
            ),
        ),
        refusals=(400,),
    ),
    writing(
        "POST",
        "/generate/episode",
        "Writes an episode in a season of its own; with `wait` the answer is the episode, and Content-Location names its job, "
        "whose id feedback takes.",
        GenerateBody,
        generate,
        {200: (EpisodeAnswer,), 202: (JobAccepted,)},
        refusals=(409,),
    ),
    Endpoint(
        "GET",
        "/jobs/{id}",
        "How the writing of an episode stands, and what came of it.",
        show_job,
        {200: (JobAnswer,)},
        refusals=(404,),
    ),
    Endpoint(
        "GET",
        "/jobs/{id}/events",
        "Progress as server-sent events: TierStarted (tier), PhaseStarted (phase), EngineFinished (engine), CallEnded (call), "
        "TextGrew (text), AttemptEnded (attempt), and at last JobEnd (end). Last-Event-ID goes on where a stream broke off.",
        follow_job,
        {200: "text/event-stream"},
        refusals=(404,),
    ),
    Endpoint(
        "DELETE",
        "/jobs/{id}",
        "Stops the writing of an episode. What was finished is kept; a job that has ended stays as it is.",
        stop_job,
        {202: (JobAccepted,)},
        writes=True,
        refusals=(404,),
    ),
    writing(
        "POST",
        "/feedback",
        "What a reader did with an episode.",
        FeedbackBody,
        feedback,
        {200: (Noted,)},
        refusals=(404,),
    ),
    writing(
        "POST",
        "/flags/{key}",
        "Switches a flag, or sets its percentage, or both.",
        FlagBody,
        set_flag,
        {200: (FlagsChanged,)},
        refusals=(404, 409),
    ),
    writing(
        "POST",
        "/flags/{key}/rollback",
        "Switches a flag off for everybody, until a person re-arms it.",
        CommandBody,
        roll_back,
        {200: (FlagsChanged,)},
        refusals=(404, 409),
    ),
    writing(
        "POST",
        "/flags/{key}/rearm",
        "Lifts a rollback.",
        CommandBody,
        rearm,
        {200: (FlagsChanged,)},
        refusals=(404, 409),
    ),
    writing(
        "POST",
        "/emergency",
        "Into emergency mode, in which only the template writes, or out of it.",
        EmergencyBody,
        emergency,
        {200: (EmergencyAnswer,)},
    ),
    writing(
        "POST",
        "/alerts/{id}/acknowledge",
        "Says that somebody has taken note of an alert.",
        AcknowledgeBody,
        acknowledge,
        {200: (Noted,)},
        refusals=(404,),
    ),
    writing(
        "POST",
        "/alerts/silence",
        "Tells nobody of a rule's alerts for some minutes, or with 0 does so again. The alerts themselves go on.",
        SilenceBody,
        silence,
        {200: (Silenced,)},
        refusals=(404,),
    ),
    Endpoint("GET", "/metrics", "Figures for Prometheus.", prometheus, {200: "text/plain"}),
    Endpoint(
        "GET",
        "/healthz",
        "Whether the studio can write and keep episodes, for load balancers.",
        able,
        {200: (Able,)},
    ),
)
