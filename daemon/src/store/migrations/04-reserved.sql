-- Numbers of projects' next workspaces, whose helpers may stand ready under them. One that is not
-- `ready` has an account that is still to be taken away: see host/reserve.rs.
CREATE TABLE reserved (
    project TEXT PRIMARY KEY,
    number  INTEGER NOT NULL UNIQUE,
    ready   INTEGER NOT NULL
) STRICT;
