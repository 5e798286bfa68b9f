"""What the server counts and measures, in Prometheus' text format: at `/metrics` with a token, and on the Admin page.

Jobs and disk are looked up when somebody asks; requests and inference are counted as they happen. Labels are
kinds of pages, jobs and states: never ids, names or addresses of people.
"""

import shutil
import sys
import time
from collections import Counter as Tally

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.process_collector import ProcessCollector

from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.store import jobs
from echo2ecg_core.version import program_version

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
REQUESTS = Counter("echo2ecg_requests", "HTTP requests answered.", ("route", "status"), registry=REGISTRY)
REQUEST_S = Histogram("echo2ecg_request_seconds", "Time to answer an HTTP request.", ("route",), registry=REGISTRY)
INFERENCE_S = Histogram(
    "echo2ecg_inference_seconds", "Time from asking for a prediction to having it, waiting included.",
    buckets=(0.05, 0.1, 0.2, 0.5, 1, 2, 4, 8, 16, 32), registry=REGISTRY,
)  # fmt: skip
WAITING = Gauge("echo2ecg_inference_waiting", "Predictions that wait or run now.", registry=REGISTRY)
CONNECTED = Gauge("echo2ecg_connected_browsers", "Browsers whose connection is open.", registry=REGISTRY)
PAGE_ERRORS = Counter("echo2ecg_page_errors", "Errors that pages showed in words.", registry=REGISTRY)


class _Workspace:
    """Jobs and disk at the moment of asking."""

    def collect(self):
        """The families that Prometheus reads."""
        from pages.ui import resources

        yield _one("echo2ecg_info", "The program's version as a label.", 1, version=program_version())
        yield _one("echo2ecg_warm", "1 once the active model is loaded.", float(resources.is_warm()))
        place = resources.workspace()
        if place.folder.is_dir():
            yield _one(
                "echo2ecg_disk_free_bytes", "Free on the workspace's disk.", shutil.disk_usage(place.folder).free
            )
        try:
            found = jobs.jobs(place) if place.exists() else []
        except Echo2ECGError:
            yield _one("echo2ecg_workspace_readable", "1 while the catalog can be read.", 0)
            return
        yield _one("echo2ecg_workspace_readable", "1 while the catalog can be read.", 1)
        states = GaugeMetricFamily("echo2ecg_jobs", "Jobs by kind and state.", labels=("kind", "state"))
        for (kind, state), n in Tally((job.kind, job.state) for job in found).items():
            states.add_metric((kind, state), n)
        yield states
        waits = [time.time() - job.created_at for job in found if job.state == "queued"]
        yield _one("echo2ecg_oldest_queued_job_seconds", "How long the oldest queued job waits.", max(waits, default=0))
        torch = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_available():
            yield _one("echo2ecg_gpu_memory_bytes", "GPU memory of this process.", torch.cuda.memory_allocated())


def _one(name: str, words: str, value: float, **labels: str) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, words, labels=tuple(labels))
    family.add_metric(tuple(labels.values()), value)
    return family


REGISTRY.register(_Workspace())


def as_text() -> str:
    """Everything, as Prometheus reads it."""
    return generate_latest(REGISTRY).decode()
