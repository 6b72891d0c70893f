-- Web Push: our key, the browsers that asked for notifications, and what they are to be told.

create table push_key (
    name text not null primary key check (name = 'vapid'),
    private blob not null, -- sealed
    created_at integer not null check (created_at >= 0)
) strict;

create table subscription (
    id text not null primary key
        check (length(id) = 30 and id glob 'sub_*' and substr(id, 5) not glob '*[^0-9a-z]*'),
    user_id text not null references user (id) on delete cascade,
    hash text not null unique check (length(hash) = 64), -- of its address
    host text not null check (length(host) between 1 and 260), -- of the push service, to show
    sealed blob not null, -- address and keys: who has them can send to the browser
    label text not null default '' check (length(label) <= 80),
    created_at integer not null check (created_at >= 0),
    pushed_at integer check (pushed_at >= 0), -- the last time that the service took something
    failures integer not null default 0 check (failures >= 0), -- since then
    held_until integer check (held_until >= 0) -- the service asked to be left alone
) strict;

create table notification (
    id text not null primary key
        check (length(id) = 30 and id glob 'not_*' and substr(id, 5) not glob '*[^0-9a-z]*'),
    subscription_id text not null references subscription (id) on delete cascade,
    tag text not null check (length(tag) between 1 and 80), -- what is of one tag is told at once
    kind text not null check (length(kind) between 1 and 20),
    count integer not null default 1 check (count >= 1), -- events in it
    urgent integer not null check (urgent in (0, 1)),
    data text not null check (json_valid(data) and json_type(data) = 'object'), -- of the last of them
    state text not null check (state in ('pending', 'sent', 'failed')),
    attempt integer not null default 0 check (attempt >= 0),
    run_at integer not null check (run_at >= 0),
    expires_at integer not null check (expires_at >= 0),
    created_at integer not null check (created_at >= 0),
    finalized_at integer check (finalized_at >= 0),
    check ((state = 'pending') = (finalized_at is null))
) strict;
create unique index notification_once on notification (subscription_id, tag) where state = 'pending';
create index notification_due on notification (run_at) where state = 'pending';
create index notification_sent on notification (subscription_id, finalized_at) where state = 'sent';
create index notification_over on notification (finalized_at) where finalized_at is not null;
