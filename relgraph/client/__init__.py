"""The Authorizer's twins over the wire: `Client` for threads, `AsyncClient` for tasks."""

from __future__ import annotations

from relgraph.client.blocking import Client
from relgraph.client.retrying import Retries
from relgraph.client.tasks import AsyncClient
from relgraph.dialing import Access

__all__ = ["Access", "AsyncClient", "Client", "Retries"]
