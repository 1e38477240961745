"""The read-only HTTP port: /metrics, /healthz, /readyz."""

from autoscaler.web.server import Health, PortBusy, WebServer

__all__ = ["Health", "PortBusy", "WebServer"]
