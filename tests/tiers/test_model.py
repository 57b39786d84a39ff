"""What came of a request can be kept and read back whole."""

from __future__ import annotations

from cinegen_core.analysis.episodes import take
from cinegen_core.story import EpisodeRequest, StoryBible
from cinegen_core.tiers.model import EngineRun
from cinegen_core.writers.embedded import EmbeddedWriter


def test_every_engines_directive_is_read_back_as_its_own_type(
    embedded: EmbeddedWriter, samples: dict[str, StoryBible]
) -> None:
    whole = take(embedded, EpisodeRequest(bible=samples["slack_water"], seed=1))
    phases = {engine.name: engine.phase for engine in whole.engines}
    for directive in whole.directives:
        run = EngineRun(engine=directive.engine, phase=phases[directive.engine], directive=directive)
        again = EngineRun.model_validate_json(run.model_dump_json())
        assert again == run
        assert type(again.directive) is type(directive)
