-- Segments can wait until somebody keeps them, or be dropped; each may have words and a cover of its own.
alter table job add column review integer not null default 0 check (review in (0, 1)); -- its segments wait

alter table segment add column waits integer not null default 0 check (waits in (0, 1)); -- until it is kept
alter table segment add column dropped_at integer check (dropped_at >= 0);
alter table segment add column withdrawn text not null default '[]' -- publications that ended because it was dropped
    check (json_valid(withdrawn) and json_type(withdrawn) = 'array');
alter table segment add column title text check (length(title) between 1 and 5000); -- null: as its target says
alter table segment add column caption text check (length(caption) between 1 and 10000);
alter table segment add column cover_us integer check (cover_us >= 0); -- from its own start; null: chosen by itself

create index segment_to_review on segment (job_id) where waits = 1 and state = 'ready' and dropped_at is null
    and deleted_at is null;
