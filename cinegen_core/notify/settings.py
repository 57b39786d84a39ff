"""The channels that a studio's settings ask for."""

from __future__ import annotations

from cinegen_core.clock import Clock, SystemClock
from cinegen_core.notify.channels import Channel
from cinegen_core.notify.through_apprise import Apprise, MissingExtraError
from cinegen_core.notify.webhook import Webhook, plain_client
from cinegen_core.settings import Settings, SettingsError


def channels_from(settings: Settings, clock: Clock | None = None) -> tuple[Channel, ...]:
    """One for the webhook, one for each of Apprise's addresses; the same address twice is one. Opens nothing.

    Raises `SettingsError` for an address that cannot be used, or where Apprise is asked for and missing. Addresses may hold
    passwords: no message repeats them.
    """
    channels: dict[str, Channel] = {}
    if settings.webhook_url.strip():
        try:
            webhook = Webhook(
                settings.webhook_url, settings.webhook_secret, plain_client, clock or SystemClock()
            )
        except ValueError as error:
            raise SettingsError(
                f"CINEGEN_WEBHOOK_URL cannot be used: {error}. It looks like https://host/path."
            ) from error
        channels[webhook.target] = webhook
    for place, url in enumerate(settings.notify_urls.split(), 1):
        try:
            service = Apprise(url)
        except MissingExtraError as error:
            raise SettingsError(f"CINEGEN_NOTIFY_URLS is set. {error}") from error
        except ValueError as error:
            raise SettingsError(
                f"CINEGEN_NOTIFY_URLS: address {place} cannot be used: {error}. Addresses look like "
                "slack://token/channel or mailto://user:password@host, with spaces between them."
            ) from error
        channels[service.target] = service
    return tuple(channels.values())
