"""The studio over HTTP: episodes, figures, flags and alerts as JSON, to be mounted at `/api` by whoever serves the studio."""

from cinegen_core.api.app import api_app
from cinegen_core.api.door import TOKEN_SETTING, Limits
from cinegen_core.api.monitor import AlertView, Monitor
from cinegen_core.api.problems import again

__all__ = ["TOKEN_SETTING", "AlertView", "Limits", "Monitor", "again", "api_app"]
