-- Who did what. Bounded by age and number, see store/audit.rs.
CREATE TABLE audit (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    at        TEXT NOT NULL,
    uid       INTEGER NOT NULL,
    account   TEXT NOT NULL,
    pid       INTEGER NOT NULL,
    door      TEXT NOT NULL,
    rpc       TEXT NOT NULL,
    action    TEXT NOT NULL,
    email     TEXT NOT NULL,
    project   TEXT NOT NULL,
    workspace TEXT NOT NULL,
    job       TEXT NOT NULL,
    decision  TEXT NOT NULL,
    reason    TEXT NOT NULL,
    outcome   TEXT NOT NULL
) STRICT;

CREATE INDEX audit_by_time ON audit (at);
