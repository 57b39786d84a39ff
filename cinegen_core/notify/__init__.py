"""Telling people of alerts: by a signed webhook, and through Apprise by whatever else they read."""

from cinegen_core.notify.channels import Channel, DeliveryError
from cinegen_core.notify.notice import Notice
from cinegen_core.notify.notifier import Log, Notifier, Trial
from cinegen_core.notify.settings import channels_from
from cinegen_core.notify.through_apprise import Apprise, MissingExtraError
from cinegen_core.notify.webhook import Webhook, plain_client, verify

__all__ = [
    "Apprise",
    "Channel",
    "DeliveryError",
    "Log",
    "MissingExtraError",
    "Notice",
    "Notifier",
    "Trial",
    "Webhook",
    "channels_from",
    "plain_client",
    "verify",
]
