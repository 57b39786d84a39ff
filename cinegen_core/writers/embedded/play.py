"""Prints assembled episodes of a series' folder, for reading while it is being written.

`python -m cinegen_core.writers.embedded.play FOLDER --seed 1 --episodes 3 [--plan]`
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import yaml

from cinegen_core.story import Dialogue, Episode, EpisodeRequest, Policy, StoryBible
from cinegen_core.writers.embedded.compose import compose
from cinegen_core.writers.embedded.directives import everything
from cinegen_core.writers.embedded.work import Work
from cinegen_core.writers.embedded.writer import EmbeddedWriter


def read_bible(folder: Path) -> StoryBible:
    bible = yaml.safe_load((folder / "bible.yaml").read_text(encoding="utf-8"))
    cards = folder / "cards.yaml"
    if cards.exists():
        bible["cards"] = yaml.safe_load(cards.read_text(encoding="utf-8"))
        for name in ("scenes", "hooks", "endings"):
            bible["cards"][name] = "\n".join(
                p.read_text(encoding="utf-8") for p in sorted(folder.glob(f"{name}*.txt"))
            )
    return StoryBible.model_validate(bible)


def show(episode: Episode) -> str:
    lines = [episode.series.upper(), f'Episode {episode.number}: "{episode.title}"', ""]
    for scene in episode.scenes:
        lines += ["", scene.slugline, ""]
        for element in scene.elements:
            if isinstance(element, Dialogue):
                extra = f" ({element.parenthetical})" if element.parenthetical else ""
                lines.append(f"    {element.speaker}{extra}: {element.text}")
            else:
                lines.append(element.text)
    lines += ["", episode.question, ""]
    for choice in episode.choices:
        lines += [f"  {choice.id}. {choice.label}", f"     {choice.consequence}"]
    return "\n".join(lines)


def show_plan(work: Work) -> str:
    rows = []
    if work.plan.opening:
        rows.append(
            f"opening {work.plan.opening.ending.id} choice {work.plan.opening.choice.script.id} at {work.plan.opening.place}"
        )
    rows += [f"{p.scene.id} [{p.scene.kind}] at {p.place}, links {p.links}" for p in work.plan.scenes]
    return "\n".join(
        f"# {row}" for row in [*rows, f"ending {work.plan.ending.id}", f"focus {work.plan.focus}"]
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--episodes", type=int, default=1)
    parser.add_argument(
        "--choices", default="", help="one letter per episode, e.g. abc; the canonical ones if left out"
    )
    parser.add_argument("--plan", action="store_true", help="print which scenes were chosen")
    options = parser.parse_args(arguments)
    writer = EmbeddedWriter()
    bible = read_bible(options.folder)
    state, choice = None, None
    for number in range(1, options.episodes + 1):
        request = EpisodeRequest(bible=bible, number=number, state=state, choice=choice, seed=options.seed)
        work = writer.work(request, Policy())
        episode = compose(work, everything(work))
        print(show(episode))
        cues = sum(isinstance(e, Dialogue) for s in episode.scenes for e in s.elements)
        print(f"\n# {episode.words} words, {cues} cues, {len(episode.scenes)} scenes")
        if options.plan:
            print(show_plan(work))
        print("\n" + "=" * 72 + "\n")
        state = episode.state
        choice = options.choices[number - 1] if number <= len(options.choices) else None
    return 0


if __name__ == "__main__":
    sys.exit(main())
