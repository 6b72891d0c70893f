-- Videos, jobs, segments, the queue, events and idempotent answers.
-- Times are unix milliseconds UTC; media times are microseconds. Ids become parts of paths, so their shape is held here.

create table video (
    id text not null primary key
        check (length(id) = 30 and id glob 'vid_*' and substr(id, 5) not glob '*[^0-9a-z]*'),
    state text not null check (state in ('stored', 'deleted')),
    filename text not null,
    extension text not null check (length(extension) between 1 and 8 and extension not glob '*[^0-9a-z]*'),
    size integer not null check (size > 0),
    created_at integer not null check (created_at >= 0),
    info text check (info is null or (json_valid(info) and json_type(info) = 'object')),
    deleted_at integer check (deleted_at >= 0),
    check ((state = 'deleted') = (deleted_at is not null))
) strict;

create index video_stored on video (created_at) where state = 'stored';

create table job (
    id text not null primary key
        check (length(id) = 30 and id glob 'job_*' and substr(id, 5) not glob '*[^0-9a-z]*'),
    video_id text not null references video (id),
    state text not null check (state in ('queued', 'processing', 'completed', 'failed', 'cancelled')),
    priority integer not null check (priority between 1 and 3),
    recipe text not null check (json_valid(recipe) and json_type(recipe) = 'object'),
    created_at integer not null check (created_at >= 0),
    started_at integer check (started_at >= 0),
    finished_at integer check (finished_at >= 0),
    error text check (error is null or (json_valid(error) and json_type(error) = 'object')),
    warnings text not null default '[]' check (json_valid(warnings) and json_type(warnings) = 'array'),
    media_deleted_at integer check (media_deleted_at >= 0),
    check ((state in ('completed', 'failed', 'cancelled')) = (finished_at is not null)),
    check ((state = 'failed') = (error is not null)),
    check (state <> 'queued' or started_at is null),
    check (state not in ('processing', 'completed') or started_at is not null),
    check (media_deleted_at is null or finished_at is not null)
) strict;

create index job_of_video on job (video_id);
create index job_by_state on job (state, id);
create index job_over on job (finished_at) where finished_at is not null;

create table segment (
    id text not null primary key
        check (length(id) = 30 and id glob 'seg_*' and substr(id, 5) not glob '*[^0-9a-z]*'),
    job_id text not null references job (id) on delete cascade,
    "index" integer not null check ("index" >= 0),
    state text not null check (state in ('pending', 'ready', 'failed')),
    in_us integer not null check (in_us >= 0),
    out_us integer not null,
    created_at integer not null check (created_at >= 0),
    rendition text check (rendition is null or (json_valid(rendition) and json_type(rendition) = 'object')),
    ready_at integer check (ready_at >= 0),
    deleted_at integer check (deleted_at >= 0),
    check (out_us > in_us),
    check ((state = 'ready') = (rendition is not null)),
    check ((state = 'ready') = (ready_at is not null)),
    check (deleted_at is null or state = 'ready'),
    unique (job_id, "index")
) strict;

create table task (
    number integer primary key, -- the order of enqueueing
    id text not null unique
        check (length(id) = 30 and id glob 'tsk_*' and substr(id, 5) not glob '*[^0-9a-z]*'),
    job_id text not null references job (id) on delete cascade,
    kind text not null check (length(kind) between 1 and 40 and kind not glob '*[^a-z_]*'),
    state text not null check (state in ('available', 'running', 'completed', 'discarded', 'cancelled')),
    priority integer not null check (priority between 1 and 3),
    run_at integer not null check (run_at >= 0),
    attempt integer not null default 0 check (attempt >= 0),
    max_attempts integer not null check (max_attempts >= 1),
    crashes integer not null default 0 check (crashes >= 0),
    rescues integer not null default 0 check (rescues >= 0),
    progress real not null default 0.0 check (progress between 0.0 and 1.0),
    errors text not null default '[]' check (json_valid(errors) and json_type(errors) = 'array'),
    lease_token text check (length(lease_token) > 0),
    lease_until integer check (lease_until >= 0),
    boot_id text check (length(boot_id) > 0),
    payload text not null default '{}' check (json_valid(payload) and json_type(payload) = 'object'),
    created_at integer not null check (created_at >= 0),
    started_at integer check (started_at >= 0),
    finalized_at integer check (finalized_at >= 0),
    check (attempt <= max_attempts),
    check (state <> 'available' or attempt < max_attempts), -- or it could never be claimed
    check (state <> 'running' or (attempt >= 1 and started_at is not null)),
    check ((state = 'running') = (lease_token is not null)),
    check ((state = 'running') = (lease_until is not null)),
    check ((state = 'running') = (boot_id is not null)),
    check ((state in ('completed', 'discarded', 'cancelled')) = (finalized_at is not null)),
    check (state <> 'completed' or progress = 1.0)
) strict;

-- The queue's own size decides what a claim costs, not the table's: each index holds only the rows of its state.
create index task_available on task (kind, priority, run_at) where state = 'available';
create index task_running on task (lease_until) where state = 'running';
create index task_discarded on task (id) where state = 'discarded';
create unique index task_live on task (job_id, kind) where state in ('available', 'running'); -- a step runs once at a time
create index task_of_job on task (job_id);

create table event (
    id integer primary key autoincrement, -- a cursor: never used twice, also after pruning
    type text not null check (length(type) between 3 and 60 and type glob '[a-z]*.[a-z]*'),
    at integer not null check (at >= 0),
    job_id text,
    data text not null check (json_valid(data) and json_type(data) = 'object')
) strict;

create index event_of_job on event (job_id) where job_id is not null;

create table answer (
    key text not null primary key check (length(key) between 1 and 255),
    fingerprint text not null,
    job_id text not null, -- kept when the job is deleted: a repeat still gets the first answer
    created_at integer not null check (created_at >= 0)
) strict;

create index answer_age on answer (created_at);

-- One row, written to find out whether the volume takes writes.
create table pulse (
    id integer primary key check (id = 1),
    at integer not null
) strict;
