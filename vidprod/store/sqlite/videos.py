"""Videos at rest."""

import msgspec

from vidprod.domain.video import MediaInfo, Video
from vidprod.errors import Conflict, NotFound
from vidprod.store.sqlite.connection import Row
from vidprod.store.sqlite.table import Table, to_json

_info = msgspec.json.Decoder(MediaInfo)


def read_video(row: Row) -> Video:
    return Video(
        id=row["id"],
        user_id=row["user_id"],
        state=row["state"],
        filename=row["filename"],
        extension=row["extension"],
        size=row["size"],
        created_at=row["created_at"],
        info=None if row["info"] is None else _info.decode(row["info"]),
        deleted_at=row["deleted_at"],
    )


class Videos(Table):
    """The rows of `video`."""

    def add(self, video: Video) -> Video:
        """Raises Conflict when the id is taken."""
        self._run(
            """
            insert into video (id, user_id, state, filename, extension, size, created_at, info, deleted_at)
            values (:id, :user_id, :state, :filename, :extension, :size, :created_at, :info, :deleted_at)
            """,
            id=video.id,
            user_id=video.user_id,
            state=video.state,
            filename=video.filename,
            extension=video.extension,
            size=video.size,
            created_at=video.created_at,
            info=None if video.info is None else to_json(video.info),
            deleted_at=video.deleted_at,
        )
        return video

    def get(self, video_id: str) -> Video:
        """Raises NotFound."""
        row = self._one("select * from video where id = :id", id=video_id)
        if row is None:
            raise NotFound(f"there is no video {video_id}")
        return read_video(row)

    def set_info(self, video_id: str, info: MediaInfo) -> Video:
        """What the probe found. Raises NotFound."""
        row = self._one("update video set info = :info where id = :id returning *", id=video_id, info=to_json(info))
        if row is None:
            raise NotFound(f"there is no video {video_id}")
        return read_video(row)

    def mark_deleted(self, video_id: str, *, now: int) -> Video:
        """stored → deleted; a deleted one stays as it is. Its file may go once this is committed.

        Raises:
            NotFound: there is no such video.
            Conflict: a job of it is not over yet, or makes a segment again.
        """
        row = self._one(
            """
            update video
            set state = 'deleted', deleted_at = :now
            where id = :id and state = 'stored'
                and not exists (select 1 from job where video_id = :id and finished_at is null)
                and not exists (
                    select 1 from job join task on task.job_id = job.id
                    where job.video_id = :id and task.kind = 'remake' and task.state in ('available', 'running'))
            returning *
            """,
            id=video_id,
            now=now,
        )
        if row is not None:
            return read_video(row)
        video = self.get(video_id)
        if video.state == "stored":
            raise Conflict(f"a job still needs the video {video_id}")
        return video

    def prunable(self, *, before_ms: int, limit: int) -> list[Video]:
        """Stored videos whose jobs were all over before `before_ms` and make nothing again, oldest first."""
        rows = self._all(
            """
            select * from video
            where state = 'stored' and created_at < :before
                and not exists (
                    select 1 from job
                    where video_id = video.id and (finished_at is null or finished_at >= :before))
                and not exists (
                    select 1 from job join task on task.job_id = job.id
                    where job.video_id = video.id and task.kind = 'remake' and task.state in ('available', 'running'))
            order by created_at
            limit :limit
            """,
            before=before_ms,
            limit=limit,
        )
        return [read_video(row) for row in rows]

    def ids(self) -> set[str]:
        """Of those whose file belongs on the disk."""
        return {row["id"] for row in self._all("select id from video where state = 'stored'")}
