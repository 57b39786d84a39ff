"""A webhook says what happened, proves who says so, and makes clear whether it is worth saying it again."""

from __future__ import annotations

import traceback
from datetime import timedelta

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinegen_core.notify import DeliveryError, Notice, Webhook, plain_client, verify
from cinegen_core.notify.notice import notice_of
from cinegen_core.notify.webhook import signed
from cinegen_core.store.deliveries import Content
from tests.model.faults import refused_port
from tests.notify.receiver import SECRET, START, Answer, HandClock, Receiver, a_step, a_webhook


def a_notice() -> Notice:
    return notice_of(Content(number=1, step=a_step("a"), fired=START), "here")


async def test_the_receiver_reads_what_happened_and_can_tell_who_says_so(
    receiver: Receiver, clock: HandClock
) -> None:
    await a_webhook(receiver, clock).send(a_notice())
    (headers, body), (raw,) = receiver.requests[0], receiver.bodies
    assert body == {
        "id": "a-firing",
        "alert": "a",
        "rule": "quality_critical",
        "severity": "critical",
        "state": "firing",
        "value": 6.8,
        "threshold": 7.0,
        "at": "2026-01-05T10:00:00Z",
        "since": "2026-01-05T10:00:00Z",
        "incident": "incident of a",
        "cause": "attempts by primary fail",
        "by": "",
        "title": "Critical: Mean quality is below 7.0",
        "words": (
            "Mean quality is below 7.0 (measured: 6.80 of 10). It fires since 10:00 UTC on 5 January 2026. "
            "Cause: attempts by primary fail."
        ),
        "studio": "here",
        "joined": [],
        "trial": False,
    }
    assert headers["content-type"] == "application/json"
    assert headers["cinegen-id"] == "a-firing"
    assert headers["cinegen-timestamp"] == str(int(START.timestamp()))
    assert verify(raw, headers, SECRET, START)


async def test_without_a_secret_nothing_is_signed(receiver: Receiver, clock: HandClock) -> None:
    await Webhook(receiver.url, "", plain_client, clock).send(a_notice())
    assert "cinegen-signature" not in receiver.requests[0][0]
    with pytest.raises(ValueError, match="no secret"):
        verify(receiver.bodies[0], receiver.requests[0][0], "", START)


@given(
    body=st.binary(max_size=200),
    secret=st.text(min_size=1, max_size=50),
    late=st.integers(-300, 300),
    place=st.integers(0, 10_000),
)
def test_only_what_was_signed_with_the_secret_and_lately_is_genuine(
    body: bytes, secret: str, late: int, place: int
) -> None:
    headers = signed(body, "id", secret, START)
    now = START + timedelta(seconds=late)
    assert verify(body, headers, secret, now)
    assert verify(body, {name.upper(): value for name, value in headers.items()}, secret, now)
    assert not verify(body, headers, secret, START + timedelta(seconds=301))
    assert not verify(body, headers, secret, START - timedelta(seconds=301))
    assert not verify(body + b" ", headers, secret, now)
    assert not verify(body, headers, secret + "x", now)
    later = {**headers, "Cinegen-Timestamp": str(int(START.timestamp()) + 1)}
    assert not verify(body, later, secret, now)
    signature = headers["Cinegen-Signature"]
    at = place % len(signature)
    forged = signature[:at] + ("0" if signature[at] != "0" else "1") + signature[at + 1 :]
    assert not verify(body, {**headers, "Cinegen-Signature": forged}, secret, now)


@given(st.dictionaries(st.sampled_from(["Cinegen-Timestamp", "Cinegen-Signature", "Other"]), st.text()))
def test_headers_of_any_kind_are_answered_and_not_stumbled_over(headers: dict[str, str]) -> None:
    assert not verify(b"body", headers, SECRET, START)


@pytest.mark.parametrize(
    ("answer", "problem", "again", "after"),
    [
        ("reset", "could not be reached", True, None),
        ("hang", "did not answer within 0.2 seconds", True, None),
        (500, r"failed \(500\)", True, None),
        ((503, {"retry-after": "120"}), r"failed \(503\)", True, 120.0),
        ((429, {"retry-after": "7"}), r"asked too much \(429\)", True, 7.0),
        ((429, {"retry-after": "Mon, 05 Jan 2026 10:02:00 GMT"}), "429", True, 120.0),
        ((429, {"retry-after": "Mon, 05 Jan 2026 09:00:00 GMT"}), "429", True, 0.0),
        ((429, {"retry-after": "99999999999"}), "429", True, 86_400.0),
        ((429, {"retry-after": "soon"}), "429", True, None),
        (400, r"did not accept the notice \(400\)", False, None),
        (404, r"did not accept the notice \(404\)", False, None),
        (410, r"did not accept the notice \(410\)", False, None),
    ],
)
async def test_what_goes_wrong_is_said_and_whether_it_may_pass(
    receiver: Receiver, clock: HandClock, answer: Answer, problem: str, again: bool, after: float | None
) -> None:
    receiver.answers = [answer]
    seconds = 0.2 if answer == "hang" else 5.0
    with pytest.raises(DeliveryError, match=problem) as failed:
        await a_webhook(receiver, clock, seconds=seconds).send(a_notice())
    assert (failed.value.again, failed.value.after) == (again, after)


async def test_a_redirect_is_not_followed(receiver: Receiver, clock: HandClock) -> None:
    receiver.answers = [(307, {"location": f"{receiver.base_url}/elsewhere"})]
    with pytest.raises(DeliveryError, match=r"redirect \(307\), which is not followed") as failed:
        await Webhook(receiver.url, SECRET, plain_client, clock).send(a_notice())
    assert not failed.value.again
    assert receiver.calls == 1


async def test_nobody_there_may_be_there_later(clock: HandClock) -> None:
    webhook = Webhook(f"http://127.0.0.1:{refused_port()}/", SECRET, plain_client, clock)
    with pytest.raises(DeliveryError, match="could not be reached") as failed:
        await webhook.send(a_notice())
    assert failed.value.again


@pytest.mark.parametrize("answer", ["reset", "hang", 500, 403])
async def test_neither_the_secret_nor_the_address_is_ever_shown(
    receiver: Receiver, clock: HandClock, answer: Answer
) -> None:
    receiver.answers = [answer]
    webhook = a_webhook(receiver, clock, seconds=0.2 if answer == "hang" else 5.0)
    with pytest.raises(DeliveryError) as failed:
        await webhook.send(a_notice())
    error = failed.value
    shown = "".join(traceback.format_exception(error)) + repr(webhook) + webhook.target
    assert SECRET not in shown
    assert "hidden" not in shown
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None


def test_a_target_is_told_from_others_and_stays_what_it_is(clock: HandClock) -> None:
    one, same, other = (
        Webhook(f"https://user:pass@example.org/{path}", secret, plain_client, clock).target
        for path, secret in (("a", "x"), ("a", "y"), ("b", "x"))
    )
    assert one == same != other
    assert one.startswith("webhook example.org (")
    assert "pass" not in one
    assert len(Webhook(f"https://{'a.' * 120}org", "", plain_client, clock).target) <= 200


@pytest.mark.parametrize(
    "url", ["", "alerts", "ftp://host/x", "file:///etc/passwd", "https://", "http://[::1"]
)
def test_an_address_that_is_none_is_refused(url: str, clock: HandClock) -> None:
    with pytest.raises(ValueError, match="it "):
        Webhook(url, SECRET, plain_client, clock)


async def test_the_studios_client_follows_nothing_and_does_not_wait_for_ever() -> None:
    async with plain_client(httpx2.URL("http://127.0.0.1/")) as opened:
        assert not opened.follow_redirects
        assert opened.timeout == httpx2.Timeout(10.0)
