-- Uploads that resume. While `finished_at` is null the bytes lie in `incoming/<id>.part`, at least "offset" of them;
-- they are made durable before "offset" says so.
create table upload (
    id text not null primary key
        check (length(id) = 30 and id glob 'upl_*' and substr(id, 5) not glob '*[^0-9a-z]*'),
    state text not null check (state in ('open', 'complete', 'joined', 'terminated', 'expired')),
    kind text not null check (kind in ('whole', 'partial', 'final')),
    length integer check (length >= 0), -- null while it is not known
    "offset" integer not null default 0 check ("offset" >= 0),
    metadata text, -- the header as it came, without a secret
    webhook_secret blob, -- sealed
    extension text check (length(extension) between 1 and 8 and extension not glob '*[^0-9a-z]*'), -- once it is known
    parts text check (parts is null or (json_valid(parts) and json_type(parts) = 'array')), -- ids, of a final one
    job_id text, -- kept when the job is deleted
    error text check (error is null or (json_valid(error) and json_type(error) = 'object')),
    created_at integer not null check (created_at >= 0),
    expires_at integer not null check (expires_at >= 0),
    finished_at integer check (finished_at >= 0),
    check ("offset" <= length),
    check (state not in ('complete', 'joined') or "offset" = length),
    check ((finished_at is null) = (state = 'open' or (kind = 'partial' and state = 'complete'))),
    check (state <> 'joined' or kind = 'partial'),
    check ((kind = 'final') = (parts is not null)),
    check (kind <> 'final' or state <> 'open'),
    check ((job_id is not null) = (kind <> 'partial' and state = 'complete')),
    check (error is null or state = 'terminated')
) strict;

create index upload_unfinished on upload (expires_at) where finished_at is null;
create index upload_over on upload (finished_at) where finished_at is not null;
create index upload_of_parts on upload (parts) where parts is not null;

-- An answer may be about an upload that was begun, too.
alter table answer rename column job_id to made_id;
