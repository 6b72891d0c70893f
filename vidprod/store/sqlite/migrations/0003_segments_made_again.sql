-- A finished segment can be made again with another recipe: its task names it, and each segment may have its own.
-- `making` counts its files: 1 is the first, each later one has a name of its own.
alter table task add column segment_id text references segment (id) on delete cascade
    check ((kind = 'remake') = (segment_id is not null));
create index task_of_segment on task (segment_id);

drop index task_live;
create unique index task_live on task (job_id, kind, ifnull(segment_id, '')) where state in ('available', 'running');

alter table segment add column making integer not null default 1 check (making >= 1);
alter table segment add column recipe text
    check (recipe is null or (json_valid(recipe) and json_type(recipe) = 'object'));
create index segment_remade on segment (id) where making > 1 and deleted_at is null;
