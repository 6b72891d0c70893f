-- Who gets in: the owner, sessions, API keys. And whose each row is.

create table user (
    id text not null primary key
        check (length(id) = 30 and id glob 'usr_*' and substr(id, 5) not glob '*[^0-9a-z]*'),
    name text not null unique check (length(name) <= 80),
    password text check (length(password) > 0), -- argon2id, encoded; null: nobody has set one up
    password_at integer check (password_at >= 0),
    totp blob, -- sealed: the secret of the authenticator
    totp_at integer check (totp_at >= 0), -- since when its codes are asked for; null: not confirmed
    totp_step integer check (totp_step >= 0), -- of the last code that was taken: none is taken twice
    created_at integer not null check (created_at >= 0),
    check ((password is null) = (password_at is null)),
    check (totp is null or password is not null),
    check (totp_at is null or totp is not null)
) strict;

insert into user (id, name, created_at) values ('usr_00000000000000000000000000', '', 0);

create table recovery_code (
    hash text not null primary key check (length(hash) = 64),
    user_id text not null references user (id) on delete cascade,
    used_at integer check (used_at >= 0)
) strict;
create index recovery_code_of_user on recovery_code (user_id);

create table session (
    id text not null primary key
        check (length(id) = 30 and id glob 'ses_*' and substr(id, 5) not glob '*[^0-9a-z]*'),
    user_id text not null references user (id) on delete cascade,
    hash text not null unique check (length(hash) = 64), -- of the token, which only the browser has
    created_at integer not null check (created_at >= 0),
    used_at integer not null check (used_at >= created_at),
    agent text not null default '' check (length(agent) <= 200),
    address text not null default '' check (length(address) <= 60)
) strict;
create index session_of_user on session (user_id);

create table api_key (
    id text not null primary key
        check (length(id) = 30 and id glob 'key_*' and substr(id, 5) not glob '*[^0-9a-z]*'),
    user_id text not null references user (id) on delete cascade,
    name text not null check (length(name) between 1 and 80),
    public_id text not null unique check (length(public_id) = 8),
    hash text not null check (length(hash) = 64), -- of the key, which is shown once
    scopes text not null check (json_valid(scopes) and json_type(scopes) = 'array' and json_array_length(scopes) > 0),
    created_at integer not null check (created_at >= 0),
    expires_at integer check (expires_at >= 0),
    used_at integer check (used_at >= 0),
    revoked_at integer check (revoked_at >= 0),
    replaced_by text unique references api_key (id)
) strict;
create index api_key_of_user on api_key (user_id);

-- What was there before is the owner's.
alter table video add column user_id text not null default 'usr_00000000000000000000000000' references user (id);
alter table job add column user_id text not null default 'usr_00000000000000000000000000' references user (id);
alter table account add column user_id text not null default 'usr_00000000000000000000000000' references user (id);
alter table endpoint add column user_id text not null default 'usr_00000000000000000000000000' references user (id);
alter table upload add column user_id text not null default 'usr_00000000000000000000000000' references user (id);
