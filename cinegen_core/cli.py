"""The command line: `cinegen write`, `season`, `score`, `bible check`, `samples`, `engines`, `cache`, `flags`, `studio`,
for analysts `ablate`, `report`, `events`, `batch`,
and for operators `health`, `metrics`, `alerts`, `preflight`, `readiness`, `simulate`, `backup`, `restore`.

Who writes is set in the environment: CINEGEN_MODEL with OPENAI_BASE_URL and OPENAI_API_KEY, or a list of providers in
the file that CINEGEN_PROVIDERS names; with neither, the embedded writer does.

Exit codes: 0 done, 1 the bible or state cannot be used, or nothing could be written or judged, 2 wrong use. Those of the operators'
commands are in `cli_monitor`: 1 also where something is not as it should be, 3 where there is too little data to tell.
"""

from __future__ import annotations

import asyncio
import difflib
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from pydantic import ValidationError

from cinegen_core.cli_ablate import add_ablate
from cinegen_core.cli_batch import add_batch
from cinegen_core.cli_events import add_events
from cinegen_core.cli_flags import flags_app
from cinegen_core.cli_monitor import monitor_commands
from cinegen_core.cli_report import add_report
from cinegen_core.cli_simulate import add_simulate
from cinegen_core.cli_store import add_store
from cinegen_core.clock import SystemClock
from cinegen_core.flags.declared import DeclarationError
from cinegen_core.opening import has_screen
from cinegen_core.opinions import OpinionError, ask_server, sentence_model
from cinegen_core.report import scorecard_text
from cinegen_core.scorer import Scorecard
from cinegen_core.scorer import score as score_script
from cinegen_core.scorer.beside import ask_a_model, coherence_by_meaning, with_beside
from cinegen_core.settings import Settings, SettingsError
from cinegen_core.steering import Steering
from cinegen_core.store import StoreError
from cinegen_core.story import Episode, EpisodeRequest, Policy, StoryBible
from cinegen_core.story.errors import StoryError
from cinegen_core.story.formats import read_script, to_fdx, to_fountain, to_json, to_text
from cinegen_core.story.load import load_bible, load_sample, load_state, sample_names
from cinegen_core.story.script import Script
from cinegen_core.story.source import read_text
from cinegen_core.studio import Studio, open_steering, open_studio
from cinegen_core.telling import TIER_WORDS
from cinegen_core.tiers.model import Generation
from cinegen_core.tiers.runner import NothingWrittenError

FORMATS: Mapping[str, Callable[[Episode], str]] = {
    ".fountain": to_fountain,
    ".fdx": to_fdx,
    ".txt": to_text,
    ".json": to_json,
}

app = typer.Typer(
    help="Writes short branching television episodes from a story bible.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
bible_app = typer.Typer(help="Story bibles.", no_args_is_help=True)
app.add_typer(bible_app, name="bible")
cache_app = typer.Typer(
    help="Answers kept on this computer for the same request again.", no_args_is_help=True
)
app.add_typer(cache_app, name="cache")


class Tier(StrEnum):
    comprehensive = "comprehensive"
    enhanced_baseline = "enhanced_baseline"
    basic_fallback = "basic_fallback"


Bible = Annotated[str, typer.Argument(help="A bible's file (.yaml, .json, .toml), or the name of a sample.")]
Seed = Annotated[int, typer.Option(min=0, max=2**63 - 1, help="The same seed gives the same episode.")]
Minutes = Annotated[float, typer.Option(min=2, max=10, help="How long the episode should play.")]
Direction = Annotated[str, typer.Option(help="A note to the writers, in a sentence or two.")]
TierOption = Annotated[
    Tier | None, typer.Option(help="The way of writing to begin with; those below it catch a failure.")
]
ProviderOption = Annotated[
    str | None,
    typer.Option(
        "--provider",
        metavar="NAME",
        help="Who writes: a provider's name to ask it first, or `embedded` for the writer without a model.",
    ),
]
Fresh = Annotated[bool, typer.Option("--fresh", help="Write anew, even if the same was asked for before.")]
Without = Annotated[
    list[str] | None,
    typer.Option("--without", metavar="ENGINE", help="Leave an engine out; may be repeated."),
]


app.add_typer(flags_app(lambda: _steering()), name="flags")
add_simulate(app, lambda: _settings(), SystemClock())
add_ablate(app, SystemClock())
add_batch(app, lambda: _settings(), SystemClock())
add_report(app, lambda: _settings(), SystemClock())
add_events(app, lambda: _settings(), SystemClock())
add_store(app, lambda: _settings(), SystemClock())
monitor_commands(
    app,
    open_studio=lambda: _studio(),
    load_settings=lambda: Settings.load(os.environ),
    environ=os.environ,
    clock=SystemClock(),
)


@app.command()
def write(
    bible: Bible,
    *,
    episode: Annotated[int, typer.Option(min=1, max=999, help="The episode's number.")] = 1,
    seed: Seed = 0,
    choice: Annotated[
        str | None, typer.Option(help="The way taken at the end of the last episode: a, b or c.")
    ] = None,
    from_: Annotated[
        Path | None,
        typer.Option("--from", metavar="STATE.json", help="The last episode's JSON, or its state."),
    ] = None,
    minutes: Minutes = 5.0,
    direction: Direction = "",
    tier: TierOption = None,
    provider: ProviderOption = None,
    without: Without = None,
    fresh: Fresh = False,
    out: Annotated[
        Path | None,
        typer.Option(help="The file to write: .fountain, .fdx, .txt or .json. Without it, text is printed."),
    ] = None,
) -> None:
    """Write one episode.

    From the second on it follows the episode given with --from; without that, the season up to it is written
    first, taking each time the choice that a season would take, and only the last episode is given out.
    """
    make = _format(out) if out else to_text
    story = _bible(bible)
    state = load_state(from_) if from_ else None
    if choice is not None and state is None:
        _usage("--choice needs --from: the JSON of the episode that offered it.")
    if state is not None and choice is not None and choice not in [c.id for c in state.offered]:
        offered = ", ".join(c.id for c in state.offered) or "none"
        _usage(f"--choice {choice}: episode {state.episode} offers {offered}.")
    if state is not None and episode == 1:
        episode = state.episode + 1
    request = _request(
        bible=story, number=episode if state else 1, state=state, choice=choice,
        direction=direction, seed=seed, minutes=minutes,
    )  # fmt: skip
    with _studio() as studio:
        policy = _policy(studio, tier, without, provider)
        generation = asyncio.run(_last(studio, request, 1 if state else episode, policy, fresh))
    _give(make(generation.episode), out)
    _say(generation)


@app.command()
def season(
    bible: Bible,
    *,
    episodes: Annotated[int, typer.Option(min=1, max=999, help="How many.")] = 6,
    seed: Seed = 0,
    minutes: Minutes = 5.0,
    direction: Direction = "",
    tier: TierOption = None,
    provider: ProviderOption = None,
    without: Without = None,
    fresh: Fresh = False,
    out: Annotated[Path, typer.Option(help="The folder to write e01.fountain, e01.json, ... into.")],
) -> None:
    """Write a season, taking at the end of each episode the choice marked as canonical."""
    request = _request(bible=_bible(bible), direction=direction, seed=seed, minutes=minutes)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _usage(f"--out {out}: the folder cannot be made ({error.strerror}).")

    async def run(studio: Studio) -> None:
        async for generation in studio.season(
            request, episodes=episodes, policy=_policy(studio, tier, without, provider), fresh=fresh
        ):
            name = f"e{generation.episode.number:02}"
            _give(to_fountain(generation.episode), out / f"{name}.fountain")
            _give(to_json(generation.episode), out / f"{name}.json")
            _say(generation, name)

    with _studio() as studio:
        asyncio.run(run(studio))


@app.command()
def score(
    script: Annotated[
        Path, typer.Argument(help="A screenplay: Fountain, FDX, plain text laid out like one, or our JSON.")
    ],
    *,
    bible: Annotated[
        str | None, typer.Option(help="The series' bible: a file, or the name of a sample.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="The whole scorecard as JSON.")] = False,
    judge: Annotated[
        bool,
        typer.Option(
            "--judge", help="Beside the score, the marks of a language model (CINEGEN_MODEL). Beta."
        ),
    ] = False,
    embeddings: Annotated[
        bool,
        typer.Option(
            "--embeddings", help="Beside the score, coherence by a sentence model on this computer."
        ),
    ] = False,
) -> None:
    """Score a script: seven dimensions of 0 to 10, with the lines that helped and hurt.

    Exit code 1 where the file cannot be judged: it is no screenplay, or too short.
    """
    shown = read_script(read_text(script), name=str(script))
    card = score_script(shown, _bible(bible) if bible else None)
    if card.overall is not None and (judge or embeddings):
        try:
            card = _with_opinions(card, shown, judge=judge, embeddings=embeddings)
        except OpinionError as error:
            _usage(str(error))
    typer.echo(card.model_dump_json(indent=2) if json else scorecard_text(card))
    if card.overall is None:
        raise typer.Exit(1)


def _with_opinions(card: Scorecard, script: Script, *, judge: bool, embeddings: bool) -> Scorecard:
    if embeddings:
        card = with_beside(card, coherence_by_meaning(script, sentence_model()))
    if judge:
        ask, model = ask_server(os.environ)
        card = with_beside(card, asyncio.run(ask_a_model(script, ask, name=f"the model {model}")))
    return card


@bible_app.command()
def check(bible: Bible) -> None:
    """Say what is wrong with a bible, or that it is accepted and what would make it richer."""
    story = _bible(bible)
    gaps = story.gaps()
    typer.echo(
        f"{story.title}: accepted." + (" What would make it richer:" if gaps else " Nothing is missing.")
    )
    for gap in gaps:
        typer.echo(f"  {gap}")


@app.command()
def samples() -> None:
    """List the series that come with the studio."""
    names = sample_names()
    width = max(map(len, names), default=0)
    for name in names:
        story = load_sample(name)
        typer.echo(f"{name:{width}}  {story.title} ({', '.join(story.genres) or 'drama'})")


@app.command()
def engines() -> None:
    """List the engines: name, phase, job."""
    with _studio() as studio:
        width = max((len(engine.name) for engine in studio.engines), default=0)
        for engine in studio.engines:
            typer.echo(f"{engine.name:{width}}  {engine.phase:9}  {engine.job}")


@cache_app.command(name="show")
def cache_show() -> None:
    """Say how many answers are kept, and how much room they take."""
    with _studio() as studio:
        entries, size = studio.results_size()
        typer.echo(f"{entries} kept, {size / 1e6:.1f} MB of at most {studio.settings.cache_megabytes} MB.")


@cache_app.command(name="clear")
def cache_clear() -> None:
    """Forget all kept answers. Seasons stay."""
    with _studio() as studio:
        typer.echo(f"{studio.clear_results()} forgotten.")


@app.command(name="studio")
def serve(
    *,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="The port; 8501 unless CINEGEN_PORT says otherwise.")
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open it in the browser, where there is a screen.")] = True,
) -> None:
    """Open the studio in the browser, on this computer only."""
    settings = _settings(port=port)
    page = Path(__file__).parent.parent / "studio_app.py"
    arguments = [
        "-m",
        "streamlit",
        "run",
        str(page),
        f"--server.port={settings.port}",
        "--server.address=127.0.0.1",
        "--server.headless=true",
        "--browser.gatherUsageStats=false",
        "--client.showSidebarNavigation=false",
        # Streamlit would give the address before anything answers there.
        "--logger.hideWelcomeMessage=true",
        "--runner.postScriptGC=false",
    ]
    typer.echo(
        f"The studio opens at http://127.0.0.1:{settings.port} as soon as it is ready (Ctrl-C closes it).",
        err=True,
    )
    # Streamlit looks for .streamlit/config.toml in the folder that it is started in; what was given
    # relative to the folder we are in now must not move with us.
    environ = {**os.environ, "CINEGEN_DATA_DIR": str(settings.data_dir.absolute())}
    for name in ("CINEGEN_FLAGS_FILE", "CINEGEN_PROVIDERS"):
        if environ.get(name):
            environ[name] = str(Path(environ[name]).absolute())
    if browser and has_screen(sys.platform, os.environ):
        # Streamlit would ask for an e-mail address first if it opened the browser itself.
        subprocess.Popen([sys.executable, "-m", "cinegen_core.opening", "127.0.0.1", str(settings.port)])  # noqa: S603
    os.chdir(page.parent)
    os.execve(sys.executable, [sys.executable, *arguments], environ)  # noqa: S606 (the arguments are ours)


async def _last(
    studio: Studio, request: EpisodeRequest, episodes: int, policy: Policy | None, fresh: bool
) -> Generation:
    generations = [
        generation
        async for generation in studio.season(request, episodes=episodes, policy=policy, fresh=fresh)
    ]
    return generations[-1]


def _bible(name: str) -> StoryBible:
    """A sample by its name; anything else is a file."""
    if name in sample_names():
        return load_sample(name)
    if not Path(name).suffix and not Path(name).exists():
        return load_sample(name)
    return load_bible(Path(name))


def _request(**values: Any) -> EpisodeRequest:
    try:
        return EpisodeRequest(**values)
    except ValidationError as error:
        _usage("; ".join(str(found["msg"]).removeprefix("Value error, ") for found in error.errors()) + ".")


def _policy(studio: Studio, tier: Tier | None, without: list[str] | None, provider: str | None) -> Policy:
    policy = studio.policy(tier=tier.value if tier else None)
    if provider is not None:
        if provider not in studio.writer_names:
            _usage(
                f"--provider {provider}: there is no such provider. There are: {', '.join(studio.writer_names)}."
            )
        policy = policy.model_copy(update={"writer": provider})
    if not without:
        return policy
    names = [engine.name for engine in studio.engines]
    by_folded = {name.casefold(): name for name in names}
    for wanted in without:
        if wanted.casefold() not in by_folded:
            near = difflib.get_close_matches(wanted, names, n=1)
            _usage(
                f"--without {wanted}: there is no such engine. "
                + (f"Did you mean {near[0]}?" if near else "`cinegen engines` lists them.")
            )
    left_out = {by_folded[wanted.casefold()] for wanted in without}
    return policy.model_copy(update={"engines": frozenset(names) - left_out})


def _format(out: Path) -> Callable[[Episode], str]:
    if out.suffix.casefold() not in FORMATS:
        _usage(f"--out {out}: end the name in {', '.join(FORMATS)}; that decides the format.")
    return FORMATS[out.suffix.casefold()]


def _give(text: str, out: Path | None) -> None:
    if out is None:
        typer.echo(text, nl=False)
        return
    try:
        out.write_bytes(text.encode("utf-8"))
    except OSError as error:
        _usage(f"--out {out}: the file cannot be written ({error.strerror}).")


def _say(generation: Generation, name: str = "") -> None:
    """One line for people: which tier and writer answered, and why."""
    why = " ".join(generation.notices)
    card = generation.scorecard
    accepted = generation.winner is not None and generation.winner.outcome == "accepted"
    scored = ""
    if accepted and card is not None and card.overall is not None:
        scored = f" Scored {card.overall:.1f} of 10 ({card.quality_class})."
    if not why:
        shown = [run for run in generation.engines if run.realisation and run.realisation.score >= 0.5]
        why = (
            f"{len(shown)} of {len(generation.engines)} engines show." if generation.engines else "As asked."
        )
    if generation.kept is not None:
        scored += (
            f" Kept from {generation.kept:%Y-%m-%d %H:%M}, when the same was asked for; --fresh writes anew."
        )
    winner = generation.winner
    if winner is not None and winner.log:
        instead = sum(bool(run.instead) for run in winner.engines)
        scored += f" {winner.calls} calls, {winner.tokens:,} tokens" + (
            f", ${winner.cost:.4f}." if winner.cost else "."
        )
        scored += f" {instead} engines asked by their own rules instead of the model." if instead else ""
    start = f"{name}: " if name else ""
    typer.echo(
        f"{start}{generation.tier} ({TIER_WORDS[generation.tier]}), writer {generation.writer}. {why}{scored}",
        err=True,
    )


def _settings(**arguments: Any) -> Settings:
    try:
        return Settings.load(os.environ, **arguments)
    except SettingsError as error:
        _usage(str(error))


def _studio() -> Studio:
    return open_studio(_settings())


def _steering() -> tuple[Steering, Settings]:
    settings = _settings()
    settings = settings if settings.install_id else settings.with_install_id()
    return open_steering(settings, SystemClock()), settings


def _usage(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(2)


def main() -> None:
    """The console script."""
    try:
        app()
    except (StoryError, StoreError, DeclarationError, SettingsError) as error:
        typer.echo(str(error), err=True)
        raise SystemExit(1) from error
    except NothingWrittenError as error:
        typer.echo(str(error), err=True)
        raise SystemExit(1) from error
