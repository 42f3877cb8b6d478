"""Blobs that no job needs any longer are deleted. In a thread of its own: it reads all of the store."""

import logging

from peewee import PeeweeException, Value

from brender.model.bundle import read_bundle
from brender.model.errors import BadInput
from brender.model.job import BAKE
from brender.model.status import JobStatus
from brender.roles.server.folder_threads import Alive
from brender.store.database import open_for_reading
from brender.store.progressive import accumulated
from brender.store.tables import Tables, make_tables
from brender.transfer.blob_store import BlobStore

log = logging.getLogger("brender.files")
_DAY = 86_400.0


def delete_unneeded(database: str, store: BlobStore, wall: float, keep: float, alive: Alive = lambda: None) -> int:
    """Delete the blobs that no job needs; returns how many there were.

    A job needs its blobs until *keep* seconds after its end; *wall* is the present time. What came or was offered less than a day
    ago stays, since its job may be on its way. While the database cannot be read nothing is deleted.
    """
    try:
        opened = open_for_reading(database)
        with opened.connection_context():
            bundles, others = needed(make_tables(opened), wall, keep)
    except PeeweeException as error:
        log.warning("which blobs are needed is not known now: %s", error)
        return 0
    blobs = bundles | others
    for bundle in bundles:
        try:
            blobs |= {file.blob for file in read_bundle(store.path(bundle).read_bytes()).files}
        except (OSError, BadInput) as error:
            log.error("the files of a job are not known (%s), so that none is thrown away: %s", bundle[:12], error)
            return 0
    count = 0
    for path in store.root.glob("[0-9a-f][0-9a-f]/*"):
        alive()
        try:
            if path.name not in blobs and path.stat().st_mtime < wall - _DAY:
                path.unlink()
                count += 1
        except OSError as error:
            log.error("the blob %s cannot be thrown away: %s", path, error)
    if count:
        log.info("%d blobs that no job needs were thrown away", count)
    return count


def needed(tables: Tables, wall: float, keep: float) -> tuple[set[str], set[str]]:
    """Return the bundles of the jobs that need their files (`delete_unneeded`); and the other blobs that are needed: add-ons, of
    such jobs and of the farm, and the frames and pieces that are kept for what is still to be made of them."""
    job, part = tables.Job, tables.Part
    is_current = job.finished.is_null() | (job.finished > wall - keep)
    wanted = (job.bundle != "") & is_current
    bundles = {row.bundle for row in job.select(job.bundle).where(wanted)}
    addons = {row.addon["digest"] for row in tables.SiteAddOn.select()}
    with_some = job.select(job.addons).where(is_current & (job.addons != Value("[]", converter=False)))
    addons |= {addon["digest"] for row in with_some for addon in row.addons}
    # A film that failed is made again of the same frames; and frames that are queued again are rendered of the same bake.
    unfinished = wanted & ((job.status != JobStatus.COMPLETED) | (part.piece == BAKE)) & (part.digest != "")
    frames = {digest for (digest,) in part.select(part.digest).join(job).where(unfinished).tuples()}
    refined = set(
        accumulated(tables, part.job.in_(job.select(job.id).where(wanted & (job.status != JobStatus.COMPLETED)))).values()
    )
    return bundles, addons | frames | refined
