"""How the studio is doing, from what it recorded."""

from cinegen_core.monitor.emergency import Emergency, EmergencyState
from cinegen_core.monitor.health import Health, Sample, health_of, sample_of

__all__ = ["Emergency", "EmergencyState", "Health", "Sample", "health_of", "sample_of"]
