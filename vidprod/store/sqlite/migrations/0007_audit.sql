-- Who changed what, from where; and since when the links to a segment that were given out before are over.

create table audit (
    number integer primary key autoincrement,
    at integer not null check (at >= 0),
    kind text not null check (kind in ('open', 'owner', 'key', 'stranger')),
    user_id text, -- no references: what was done outlives who did it
    key_id text,
    session_id text,
    what text not null check (length(what) between 1 and 120), -- "POST /v1/jobs/{job_id}/cancel"
    subject text not null default '[]' check (json_valid(subject) and json_type(subject) = 'array'), -- ids
    address text not null default '' check (length(address) <= 60),
    status integer check (status between 100 and 599), -- null: it was no request
    data text not null default '{}' check (json_valid(data) and json_type(data) = 'object'),
    check ((kind = 'key') = (key_id is not null)),
    check ((kind = 'stranger') = (user_id is null))
) strict;

create table link_end (
    segment_id text not null primary key,
    at integer not null check (at >= 0)
) strict;
