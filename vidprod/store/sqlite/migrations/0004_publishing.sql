-- Accounts, publications, receipts, quotas, endpoints and deliveries. Sealed columns are AES-256-GCM, bound to their row.

create table account (
    id text not null primary key
        check (length(id) = 30 and id glob 'acc_*' and substr(id, 5) not glob '*[^0-9a-z]*'),
    platform text not null check (platform in ('youtube', 'tiktok', 'instagram')),
    flavour text not null default '' check (flavour in ('', 'facebook_login', 'instagram_login')),
    external_id text not null check (length(external_id) between 1 and 200),
    name text not null,
    username text not null default '',
    state text not null check (state in ('connected', 'needs_reauth', 'disconnected')),
    scopes text not null default '[]' check (json_valid(scopes) and json_type(scopes) = 'array'),
    notices text not null default '[]' check (json_valid(notices) and json_type(notices) = 'array'),
    settings text not null default '{}' check (json_valid(settings) and json_type(settings) = 'object'),
    tokens blob, -- sealed; null when disconnected
    refreshing_at integer check (refreshing_at >= 0), -- a refresh was asked for and its answer is not stored yet
    connected_at integer not null check (connected_at >= 0),
    access_expires_at integer check (access_expires_at >= 0),
    refresh_expires_at integer check (refresh_expires_at >= 0),
    refreshed_at integer check (refreshed_at >= 0),
    warned_at integer check (warned_at >= 0), -- that it expires soon
    paused_at integer check (paused_at >= 0),
    parked_until integer check (parked_until >= 0),
    fault text,
    check ((state = 'disconnected') = (tokens is null)),
    unique (platform, flavour, external_id)
) strict;

-- An authorisation under way: what the redirect has to bring back, and what was promised to it.
create table connecting (
    state_hash text not null primary key check (length(state_hash) = 64),
    platform text not null check (platform in ('youtube', 'tiktok', 'instagram')),
    flavour text not null default '',
    sealed blob not null, -- verifier and redirect
    created_at integer not null check (created_at >= 0)
) strict;

alter table job add column targets text not null default '[]'
    check (json_valid(targets) and json_type(targets) = 'array');

create table publication (
    id text not null primary key
        check (length(id) = 30 and id glob 'pub_*' and substr(id, 5) not glob '*[^0-9a-z]*'),
    segment_id text not null, -- no reference: what was published is remembered when its job is deleted
    job_id text not null,
    account_id text not null references account (id),
    platform text not null check (platform in ('youtube', 'tiktok', 'instagram')),
    state text not null
        check (state in ('scheduled', 'uploading', 'processing', 'published', 'rejected', 'cancelled', 'unknown')),
    post text not null check (json_valid(post) and json_type(post) = 'object'),
    "when" text not null check ("when" in ('now', 'at', 'slot')),
    due_at integer not null check (due_at >= 0),
    run_at integer not null check (run_at >= 0),
    needs_approval integer not null default 0 check (needs_approval in (0, 1)),
    approved_at integer check (approved_at >= 0),
    missed_at integer check (missed_at >= 0),
    wait text check (wait is null or (json_valid(wait) and json_type(wait) = 'object')),
    phase text check (phase in ('begin', 'send', 'publish')),
    handle blob, -- sealed: upload addresses are secrets
    attempt integer not null default 0 check (attempt >= 0),
    failures integer not null default 0 check (failures >= 0),
    errors text not null default '[]' check (json_valid(errors) and json_type(errors) = 'array'),
    sha256 text not null default '' check (length(sha256) in (0, 64)),
    size integer not null default 0 check (size >= 0),
    said text not null default '',
    privacy_seen text not null default '',
    remote_id text,
    url text,
    deadline_at integer check (deadline_at >= 0),
    created_at integer not null check (created_at >= 0),
    published_at integer check (published_at >= 0),
    finalized_at integer check (finalized_at >= 0),
    check ((state in ('published', 'rejected', 'cancelled')) = (finalized_at is not null)),
    check ((state = 'published') = (published_at is not null)),
    check (phase is null or state in ('uploading', 'processing', 'unknown')),
    check (state <> 'scheduled' or handle is null or phase is null)
) strict;

-- A segment is on its way to an account once, or was published there: never a second time by mistake.
create unique index publication_once on publication (segment_id, account_id)
    where state not in ('rejected', 'cancelled');
create index publication_due on publication (run_at) where state not in ('published', 'rejected', 'cancelled');
create index publication_begun on publication (account_id, due_at)
    where attempt > 0 and state in ('scheduled', 'uploading'); -- the next of the account waits for it
create index publication_of_account on publication (account_id, due_at, state, missed_at, published_at);
create index publication_to_come on publication (due_at)
    where state = 'scheduled' and attempt = 0 and missed_at is null; -- of which some may be missed
create index publication_of_segment on publication (segment_id);
create index publication_of_job on publication (job_id);
create index publication_calendar on publication (due_at);

create trigger publication_published_stays before update on publication when old.state = 'published'
begin
    select raise(abort, 'a published publication never changes');
end;
create trigger publication_published_is_kept before delete on publication when old.state = 'published'
begin
    select raise(abort, 'a published publication is never deleted');
end;

-- What the publisher has to look at when its time has come. Not what it was told to leave until somebody connects again,
-- resumes or approves, nor what comes after another of the account that is under way.
create view publication_moving as
select publication.* from publication
cross join account on account.id = publication.account_id
where publication.state not in ('published', 'rejected', 'cancelled')
    and publication.missed_at is null
    and not (publication.needs_approval = 1 and publication.approved_at is null
        and coalesce(publication.wait ->> '$.code', '') = 'approval')
    and not (account.state <> 'connected' and coalesce(publication.wait ->> '$.code', '') = 'reauth')
    and not (coalesce(publication.wait ->> '$.code', '') = 'paused'
        and (account.paused_at is not null
            or exists (select 1 from fact where name = 'publishing_paused_at' and value <> 'null')))
    and not (publication.state = 'scheduled' and exists (
        select 1 from publication as other
        where other.account_id = publication.account_id and other.id <> publication.id
            and other.attempt > 0 and other.state in ('scheduled', 'uploading')
            and (other.state = 'uploading'
                or (coalesce(other.wait ->> '$.code', '') = 'retry' and other.due_at < publication.due_at))));

-- What was asked of a platform before it was asked, and what came of it: the journal. Never changed.
create table journal (
    number integer primary key autoincrement,
    publication_id text not null references publication (id),
    at integer not null check (at >= 0),
    step text not null check (step in ('begin', 'send', 'publish', 'state', 'plan')),
    what text not null,
    data text not null default '{}' check (json_valid(data) and json_type(data) = 'object')
) strict;
create index journal_of_publication on journal (publication_id, number);
create trigger journal_stays before update on journal begin select raise(abort, 'the journal never changes'); end;

-- What counts against a quota, a cap or a gap.
create table usage (
    number integer primary key autoincrement,
    bucket text not null check (length(bucket) between 1 and 120), -- "youtube:uploads", "tiktok:acc_…:posts"
    at integer not null check (at >= 0),
    units integer not null default 1 check (units >= 1)
) strict;
create index usage_of_bucket on usage (bucket, at);

create table receipt (
    number integer primary key autoincrement,
    publication_id text not null unique references publication (id),
    body text not null check (json_valid(body) and json_type(body) = 'object'),
    hash text not null unique check (length(hash) = 64)
) strict;
create trigger receipt_stays before update on receipt begin select raise(abort, 'a receipt never changes'); end;
create trigger receipt_is_kept before delete on receipt begin select raise(abort, 'a receipt is never deleted'); end;

-- A few values of the whole installation: {"publishing_paused_at": …}
create table fact (
    name text not null primary key check (length(name) between 1 and 60),
    value text not null check (json_valid(value))
) strict;

create table endpoint (
    id text not null primary key
        check (length(id) = 30 and id glob 'end_*' and substr(id, 5) not glob '*[^0-9a-z]*'),
    url text not null check (length(url) between 1 and 2000),
    types text not null default '[]' check (json_valid(types) and json_type(types) = 'array'),
    job_id text, -- no reference: it hears that its job was deleted, and of no other
    state text not null check (state in ('enabled', 'disabled')),
    disabled_reason text,
    description text not null default '',
    secrets blob not null, -- sealed: the present one, and the one before it with its end
    created_at integer not null check (created_at >= 0),
    failing_since integer check (failing_since >= 0),
    failed_at integer check (failed_at >= 0), -- the last failure
    held_until integer check (held_until >= 0), -- it asked to be left alone
    rotated_at integer check (rotated_at >= 0),
    check ((state = 'disabled') = (disabled_reason is not null)),
    check ((failing_since is null) = (failed_at is null))
) strict;
create index endpoint_of_job on endpoint (job_id) where job_id is not null;
create index endpoint_of_all on endpoint (id) where job_id is null;

create table delivery (
    id text not null primary key
        check (length(id) = 30 and id glob 'msg_*' and substr(id, 5) not glob '*[^0-9a-z]*'),
    endpoint_id text not null references endpoint (id) on delete cascade,
    event_id integer not null, -- no reference: events may be pruned before
    event_type text not null,
    body text not null, -- as it is signed
    state text not null check (state in ('pending', 'delivered', 'failed')),
    attempt integer not null default 0 check (attempt >= 0),
    earlier integer not null default 0 check (earlier between 0 and attempt), -- attempts before the last replay
    run_at integer not null check (run_at >= 0),
    created_at integer not null check (created_at >= 0),
    finalized_at integer check (finalized_at >= 0),
    check ((state = 'pending') = (finalized_at is null))
) strict;
create index delivery_due on delivery (endpoint_id, run_at) where state = 'pending';
create index delivery_of_endpoint on delivery (endpoint_id, state, id);
create index delivery_over on delivery (finalized_at) where finalized_at is not null;

create table delivery_attempt (
    delivery_id text not null references delivery (id) on delete cascade,
    number integer not null check (number >= 1),
    at integer not null check (at >= 0),
    took_ms integer not null check (took_ms >= 0),
    status integer,
    error text not null default '',
    answer text not null default '',
    primary key (delivery_id, number)
) strict, without rowid;
