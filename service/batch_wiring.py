"""The part of the composition root that makes batches: configuration -> objects. Only `app` imports it."""

from __future__ import annotations

from service.config import Config
from service.gateway.background import Background
from service.gateway.batch_items import ItemRunner
from service.gateway.batch_ports import BatchQueue, BatchStore, FileStore
from service.gateway.batches import Batches, BatchPolicy
from service.gateway.files import Files
from service.gateway.models import Models
from service.gateway.system import RandomIds, SystemClock
from service.store.batch_queue import RedisBatchQueue
from service.store.batches import RedisBatches
from service.store.client import Store
from service.store.files import RedisFiles
from service.web.context import Services
from service.worker.batches import BatchWorker, WorkerPolicy


def batch_use_cases(
    config: Config, store: Store, *, models: Models, background: Background
) -> tuple[Batches, Files]:
    """What the web layer needs."""
    settings, ids = config.batches, RandomIds()
    batch_store: BatchStore = _redis_batches(config, store)
    file_store: FileStore = RedisFiles(store, server_secret=config.secret_key.reveal())
    batches = Batches(
        store=batch_store,
        files=file_store,
        models=models,
        background=background,
        clock=SystemClock(),
        ids=ids,
        policy=BatchPolicy(
            max_items=settings.max_items,
            max_bytes=settings.max_bytes,
            max_item_bytes=min(config.limits.max_body_bytes, settings.max_bytes),
        ),
    )
    files = Files(
        store=file_store,
        batches=batches,
        background=background,
        ids=ids,
        max_bytes=settings.max_bytes,
        kept_s=config.storage.batches_ttl_s,
    )
    return batches, files


def batch_worker(config: Config, store: Store, services: Services, *, consumer: str) -> BatchWorker:
    """The worker, not running yet. `consumer` is its name among all workers."""
    settings = config.batches
    queue: BatchQueue = RedisBatchQueue(
        store, _redis_batches(config, store), consumer=consumer, min_idle_s=settings.silent_s
    )
    return BatchWorker(
        queue=queue,
        batches=services.batches,
        runner=ItemRunner(
            chat=services.chat,
            metrics=services.metrics,
            tracing=services.tracing,
            clock=services.clock,
            ids=services.ids,
            max_tries=settings.max_tries,
        ),
        accounts=services.chat.accounts,
        pool=lambda: list(services.models.accounts),
        keyring=services.keyring,
        metrics=services.metrics,
        clock=services.clock,
        policy=WorkerPolicy(
            max_in_flight=settings.max_in_flight,
            reserve_ratio=settings.reserve_ratio,
            max_deaths=settings.max_deaths,
            silent_s=settings.silent_s,
        ),
        is_draining=lambda: services.is_draining,
    )


def _redis_batches(config: Config, store: Store) -> RedisBatches:
    return RedisBatches(
        store,
        kept_s=config.storage.batches_ttl_s,
        open_s=config.batches.open_s,
        server_secret=config.secret_key.reveal(),
    )
