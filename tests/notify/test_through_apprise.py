"""Apprise reaches whatever people read, by its own addresses; and the settings say plainly when they cannot be used."""

from __future__ import annotations

import subprocess
import sys

import pytest

from cinegen_core.notify import Apprise, DeliveryError, channels_from
from cinegen_core.notify.notice import notice_of, trial_notice
from cinegen_core.settings import Settings, SettingsError
from cinegen_core.store.deliveries import Content
from tests.model.faults import refused_port
from tests.notify.receiver import SECRET, START, HandClock, Receiver, a_step

# Apprise's own import of it, which it has replaced where Python has no such module any more.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

URL = "https://hooks.example.org/alerts?token=hidden"


def apprise_url(receiver: Receiver) -> str:
    return receiver.base_url.removesuffix("/v1").replace("http://", "json://") + "/"


async def test_a_notice_arrives_through_apprise(receiver: Receiver) -> None:
    channel = Apprise(apprise_url(receiver))
    fired = Content(number=1, step=a_step("a"), fired=START)
    over = Content(number=2, step=a_step("a", "resolved", minute=30, value=7.4), fired=START)
    for content in (fired, over):
        await channel.send(notice_of(content, "here"))
    await channel.send(trial_notice("trial-1", START, "here"))
    assert [(one["title"], one["type"]) for one in receiver.told] == [
        ("Critical: Mean quality is below 7.0", "failure"),
        ("Resolved: Mean quality is below 7.0", "success"),
        ("Trial notice", "info"),
    ]
    assert "attempts by primary fail" in receiver.told[0]["message"]


@pytest.mark.parametrize("answer", [500, 404, "reset"])
async def test_what_apprise_cannot_send_is_tried_again(receiver: Receiver, answer: int | str) -> None:
    receiver.answers = [answer]
    channel = Apprise(apprise_url(receiver))
    notice = trial_notice("trial-1", START, "here")
    with pytest.raises(DeliveryError, match="Apprise could not send it") as failed:
        await channel.send(notice)
    assert failed.value.again
    await channel.send(notice)
    assert len(receiver.told) == 1


async def test_a_service_that_hangs_is_not_waited_for(receiver: Receiver) -> None:
    receiver.answers = ["hang"]
    address = apprise_url(receiver) + "?rto=1"
    with pytest.raises(DeliveryError, match=r"did not answer within 0\.1 seconds") as failed:
        await Apprise(address, seconds=0.1).send(trial_notice("trial-1", START, "here"))
    assert failed.value.again


async def test_nobody_there_is_said() -> None:
    with pytest.raises(DeliveryError, match="can be reached"):
        await Apprise(f"json://127.0.0.1:{refused_port()}/").send(trial_notice("trial-1", START, "here"))


def test_each_address_is_a_target_of_its_own(clock: HandClock) -> None:
    settings = Settings(
        webhook_url=URL,
        webhook_secret=SECRET,
        notify_urls="json://me:hidden@host.example/  mailto://me:hidden@mail.example\njson://me:hidden@host.example/",
    )
    channels = channels_from(settings, clock)
    targets = [channel.target for channel in channels]
    assert [target.partition(" (")[0] for target in targets] == [
        "webhook hooks.example.org",
        "json by Apprise",
        "mailto by Apprise",
    ]
    assert "hidden" not in f"{targets} {channels!r}"
    assert SECRET not in repr(channels)


def test_nothing_set_is_nobody_told() -> None:
    assert channels_from(Settings()) == ()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            {"webhook_url": "hooks.example.org/hidden"},
            "CINEGEN_WEBHOOK_URL cannot be used: it does not begin",
        ),
        ({"webhook_url": "ftp://hidden"}, "CINEGEN_WEBHOOK_URL cannot be used: it does not begin"),
        ({"notify_urls": "json://host hidden"}, "CINEGEN_NOTIFY_URLS: address 2 cannot be used"),
        ({"notify_urls": "carrierpigeon://hidden"}, "CINEGEN_NOTIFY_URLS: address 1 cannot be used"),
    ],
)
def test_an_address_that_cannot_be_used_is_named_and_not_repeated(values: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        channels_from(Settings(**values))
    assert str(refused.value).startswith(said)
    assert "hidden" not in str(refused.value)


def test_without_the_extra_only_apprise_is_missing() -> None:
    program = (
        "import sys\n"
        "sys.modules['apprise'] = None\n"
        "from cinegen_core.notify import channels_from\n"
        "from cinegen_core.settings import Settings\n"
        f"print(len(channels_from(Settings(webhook_url={URL!r}))))\n"
        "try:\n"
        "    channels_from(Settings(notify_urls='json://host'))\n"
        "except ValueError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    count, said = done.stdout.splitlines()
    assert count == "1"
    assert said.startswith("CINEGEN_NOTIFY_URLS is set. ")
    assert "pip install 'cinegen-studio[notify]'" in said
