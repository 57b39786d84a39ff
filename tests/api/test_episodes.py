"""Episodes asked for over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from cinegen_core.store import MemoryStore
from cinegen_core.studio import Studio
from tests.api.room import BIBLE, GUIDES_BIBLE, TOKEN, Watch, events_of, here, problem, write
from tests.fakes import OUT_OF_FORM, FakeWriter, a_studio


class TestEpisodes:
    def test_an_episode_is_written_while_one_waits(self, client: TestClient, studio: Studio) -> None:
        answer = write(client)
        assert answer.status_code == 200, answer.text
        found = answer.json()
        assert found.keys() == {"success", "episode", "metadata", "attempts"}
        assert found["success"] is True
        assert found["episode"]["series"] == "Slack Water"
        assert found["metadata"] == {
            "generationTime": 0, "tier": "comprehensive", "qualityScore": None, "qualityClass": None,
            "enginesRun": 1, "enginesDelivered": 1, "fallbackReason": None, "belowThreshold": False,
        }  # fmt: skip
        (attempt,) = found["attempts"]
        assert attempt.keys() == {
            "tier", "writer", "outcome", "reason", "time", "score", "enginesRun", "enginesDelivered", "enginesRepaired",
            "calls", "tokens", "cost",
        }  # fmt: skip
        (season,) = studio.store.seasons()
        (record,) = studio.store.records(season.id)
        assert (record.seed, season.title) == (7, "Slack Water")
        assert answer.headers["content-location"] == f"/api/jobs/{record.id}"

    def test_each_episode_has_a_season_of_its_own(self, client: TestClient, studio: Studio) -> None:
        write(client)
        write(client)
        assert [len(studio.store.records(season.id)) for season in studio.store.seasons()] == [1, 1]

    def test_the_next_episode_follows_from_the_state_and_the_choice(
        self, client: TestClient, studio: Studio
    ) -> None:
        first = write(client).json()
        second = write(
            client,
            state=first["episode"]["state"],
            previousChoice="b",
            episodeNumber=2,
            direction="More rain.",
        )
        assert second.status_code == 200, second.text
        record = next(
            record
            for season in studio.store.seasons()
            for record in studio.store.records(season.id)
            if record.number == 2
        )
        assert (record.choice, record.direction) == ("b", "More rain.")

    def test_the_number_of_the_next_episode_need_not_be_said(self, client: TestClient) -> None:
        first = write(client).json()
        assert write(client, state=first["episode"]["state"]).json()["episode"]["number"] == 2

    def test_the_guides_bible_is_understood(self, client: TestClient) -> None:
        assert write(client, storyBible=GUIDES_BIBLE).json()["episode"]["series"] == "Slack Water"

    def test_why_a_better_tier_did_not_answer_is_told(self, watch: Watch) -> None:
        with a_studio(FakeWriter(fails=RuntimeError("no ink"))) as studio, here(studio, watch) as client:
            client.headers["authorization"] = f"Bearer {TOKEN}"
            found = write(client).json()
        assert found["metadata"]["tier"] == "basic_fallback"
        assert "no ink" in found["metadata"]["fallbackReason"]
        assert [one["outcome"] for one in found["attempts"]][:2] == ["failed", "failed"]

    def test_that_there_is_an_emergency_is_told(self, client: TestClient) -> None:
        client.post("/emergency", json={"on": True, "reason": "the model is on fire", "who": "Pip"})
        found = write(client).json()["metadata"]
        assert found["tier"] == "basic_fallback"
        assert "the model is on fire" in found["fallbackReason"]

    def test_a_script_out_of_form_is_marked(self, watch: Watch) -> None:
        with a_studio(FakeWriter(changes=OUT_OF_FORM)) as studio, here(studio, watch) as client:
            client.headers["authorization"] = f"Bearer {TOKEN}"
            found = write(client).json()
        assert {one["outcome"] for one in found["attempts"]} >= {"below_threshold"}

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"storyBible": {**BIBLE, "title": ""}}, "storyBible.title"),
            ({"storyBible": {"title": "x"}}, "storyBible.premise"),
            ({"storyBible": {**BIBLE, "characters": [{"nmae": "A"}]}}, "storyBible.characters[0].nmae"),
            ({"storyBible": {**GUIDES_BIBLE, "mainCharacters": [{"nmae": "A"}]}}, "storyBible.mainCharacters[0].nmae"),
            ({"storyBible": "a bible"}, "storyBible"),
            ({"episodeNumber": 0}, "episodeNumber"),
            ({"previousChoice": "z"}, "previousChoice"),
            ({"previousChoice": "b"}, "previousChoice"),
            ({"state": {"series": "Slack Water", "episodes": 1}}, "state.episodes"),
            ({"state": {"series": "Another", "episode": 1}}, "state"),
            ({"state": {"series": "Slack Water", "episode": 1}, "episodeNumber": 3}, "episodeNumber"),
            ({"state": {"series": "Slack Water", "episode": 1}, "previousChoice": "b"}, "previousChoice"),
            ({"seed": -1}, "seed"),
            ({"direction": "x" * 2001}, "direction"),
            ({"wiat": True}, "wiat"),
        ],
    )  # fmt: skip
    def test_what_is_wrong_is_said_with_the_field(
        self, client: TestClient, studio: Studio, changes: dict[str, Any], field: str
    ) -> None:
        told = problem(write(client, **changes), 422, "invalid")
        assert field in [error["field"] for error in told["errors"]]
        assert studio.store.seasons() == ()

    def test_without_a_bible_nothing_is_written(self, client: TestClient) -> None:
        told = problem(client.post("/generate/episode", json={}), 422, "invalid")
        assert told["errors"][0]["field"] == "storyBible"

    def test_who_does_not_wait_gets_a_job_to_follow(self, client: TestClient, studio: Studio) -> None:
        answer = write(client, wait=False)
        job = answer.json()["job"]
        assert answer.status_code == 202
        assert answer.json() == {"job": job, "location": f"/api/jobs/{job}"}
        assert answer.headers["location"] == f"/api/jobs/{job}"
        studio.wait(job, 20)
        found = client.get(f"/jobs/{job}").json()
        assert found.keys() == {"job", "season", "episodeNumber", "state", "error", "result"}
        assert (found["state"], found["error"]) == ("done", None)
        assert found["result"].keys() == {"success", "episode", "metadata", "attempts"}

    def test_progress_can_be_followed_to_the_end(self, client: TestClient) -> None:
        job = write(client, wait=False).json()["job"]
        answer = client.get(f"/jobs/{job}/events")
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = events_of(answer.text)
        assert events[0] == ("tier", {"kind": "tier", "tier": "comprehensive", "writer": "fake"})
        assert ("text", {"kind": "text", "text": "A draft."}) in events
        assert events[-1] == (
            "end",
            {"job": job, "state": "done", "error": None, "location": f"/api/jobs/{job}"},
        )

    def test_a_stream_that_broke_off_goes_on_where_it_was(self, client: TestClient, studio: Studio) -> None:
        job = write(client, wait=False).json()["job"]
        studio.wait(job, 20)
        whole = events_of(client.get(f"/jobs/{job}/events").text)
        seen = str(len(whole) - 2)
        rest = client.get(f"/jobs/{job}/events", headers={"last-event-id": seen})
        assert events_of(rest.text) == whole[-2:]
        for beyond in ("999", "x", "-1"):
            assert (
                events_of(client.get(f"/jobs/{job}/events", headers={"last-event-id": beyond}).text)[-1]
                == whole[-1]
            )

    def test_an_episode_is_found_by_its_job_after_a_restart(
        self, client: TestClient, studio: Studio, watch: Watch
    ) -> None:
        job = write(client).headers["content-location"].rpartition("/")[2]
        assert isinstance(studio.store, MemoryStore)
        with a_studio(store=studio.store) as next_day, here(next_day, watch) as again:
            assert again.get(f"/jobs/{job}").json() == client.get(f"/jobs/{job}").json()
            assert [name for name, _ in events_of(again.get(f"/jobs/{job}/events").text)] == ["end"]

    @pytest.mark.parametrize("path", ["/jobs/0123456789abcdef", "/jobs/..%2f..%2fetc", "/jobs/x/events"])
    def test_a_job_that_nobody_began_is_not_there(self, client: TestClient, path: str) -> None:
        problem(client.get(path), 404, "not-found" if "%2f" in path else "not-known")

    def test_a_job_that_nobody_began_cannot_be_stopped(self, client: TestClient) -> None:
        problem(client.delete("/jobs/0123456789abcdef"), 404, "not-known")
