-- People's workspaces, and stages of projects.
CREATE TABLE workspaces (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    -- A person's address, or the stage's name, which holds no '@'.
    owner      TEXT NOT NULL,
    project    TEXT NOT NULL,
    name       TEXT NOT NULL,
    state      TEXT NOT NULL,
    directory  TEXT NOT NULL,
    branch     TEXT NOT NULL,
    url        TEXT NOT NULL,
    commit_id  TEXT,
    -- The number of the instance that answers; each deployment has the next one.
    deployment INTEGER NOT NULL DEFAULT 0,
    created_at TEXT NOT NULL,
    job        TEXT NOT NULL,
    -- 'uid:NUMBER', or 'address:EMAIL' by the form.
    creator    TEXT NOT NULL,
    -- When a visitor last came or a job last ended.
    used_at    TEXT,
    UNIQUE (project, owner),
    UNIQUE (project, name),
    UNIQUE (directory)
) STRICT;

-- Two projects may come to have one domain; a host name answers for one workspace only. Those
-- without a web process have no address.
CREATE UNIQUE INDEX one_workspace_per_url ON workspaces (url) WHERE url <> '';

CREATE INDEX workspaces_by_creator ON workspaces (creator);

-- A port outlives its workspace until nginx has reloaded, or its next owner would answer under
-- the old name. Each instance has one.
CREATE TABLE ports (
    port       INTEGER PRIMARY KEY,
    workspace  INTEGER NOT NULL,
    deployment INTEGER NOT NULL,
    unit       TEXT NOT NULL,
    released   INTEGER NOT NULL DEFAULT 0,
    UNIQUE (workspace, deployment)
) STRICT;

-- Small numbers for placeholders, such as a Redis database; only for workspaces whose project wants one.
CREATE TABLE numbers (
    number    INTEGER PRIMARY KEY,
    workspace INTEGER NOT NULL UNIQUE
) STRICT;

CREATE TABLE jobs (
    id          TEXT PRIMARY KEY,
    -- What it is about: one of these.
    workspace   INTEGER,
    build       INTEGER,
    -- A workspace's; empty for a build.
    owner       TEXT NOT NULL,
    project     TEXT NOT NULL,
    -- A workspace's name, a build's number.
    name        TEXT NOT NULL,
    kind        TEXT NOT NULL,
    state       TEXT NOT NULL,
    -- The workspace's state to go back to when the job is undone; NULL: the row goes.
    prior_state TEXT,
    plan        TEXT NOT NULL,
    failure     TEXT,
    -- The workspace's, which may be gone by now.
    creator     TEXT NOT NULL,
    created_at  TEXT NOT NULL,
    ended_at    TEXT,
    -- A push began it, and nobody waits for it.
    follows_push INTEGER NOT NULL DEFAULT 0,
    CHECK ((workspace IS NULL) <> (build IS NULL))
) STRICT;

CREATE UNIQUE INDEX one_live_job ON jobs (workspace) WHERE state IN ('queued', 'running', 'undoing');
CREATE UNIQUE INDEX one_live_job_per_build ON jobs (build) WHERE state IN ('queued', 'running', 'undoing');
CREATE INDEX jobs_by_time ON jobs (created_at);
CREATE INDEX ended_deployments ON jobs (workspace, id, state) WHERE kind = 'deploy' AND state IN ('done', 'undone');

-- Builds, and templates, which have numbers of their own.
CREATE TABLE builds (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    project    TEXT NOT NULL,
    kind       TEXT NOT NULL,
    number     INTEGER NOT NULL,
    commit_id  TEXT NOT NULL,
    reference  TEXT NOT NULL,
    subject    TEXT NOT NULL,
    author     TEXT NOT NULL,
    -- Names the commands that it was built and tested by; of a template, the project file.
    recipe     TEXT NOT NULL,
    state      TEXT NOT NULL,
    -- As JSON.
    verdict    TEXT,
    -- Of its files; of a template, what workspaces must be made from to begin with it.
    digest     TEXT,
    -- Where they are, as JSON.
    packages   TEXT,
    directory  TEXT NOT NULL,
    created_at TEXT NOT NULL,
    took_ms    INTEGER,
    job        TEXT NOT NULL,
    -- Who asked for it.
    creator    TEXT NOT NULL,
    -- The number of the newer build that takes its place.
    superseded_by INTEGER,
    -- A command of its own failed: another attempt would end the same.
    blamed     INTEGER NOT NULL DEFAULT 0,
    UNIQUE (project, kind, number)
) STRICT;

-- A number is not given twice, not even when the newest build goes.
CREATE TABLE build_numbers (
    project TEXT NOT NULL,
    kind    TEXT NOT NULL,
    last    INTEGER NOT NULL,
    PRIMARY KEY (project, kind)
) STRICT, WITHOUT ROWID;

-- Where the branches that cid follows were when their remote was asked; without a commit: gone since `at`.
CREATE TABLE remote_branches (
    project   TEXT NOT NULL,
    branch    TEXT NOT NULL,
    commit_id TEXT,
    at        TEXT NOT NULL,
    PRIMARY KEY (project, branch)
) STRICT, WITHOUT ROWID;

-- When each project's remote last answered, and since when it does not.
CREATE TABLE remotes (
    project       TEXT PRIMARY KEY,
    answered_at   TEXT,
    failing_since TEXT,
    reason        TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Builds that came to run in stages; the newest of a stage is what runs there.
CREATE TABLE deployments (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    workspace INTEGER NOT NULL,
    build     INTEGER NOT NULL,
    commit_id TEXT NOT NULL,
    job       TEXT NOT NULL UNIQUE,
    -- On whose behalf.
    by        TEXT NOT NULL,
    at        TEXT NOT NULL,
    -- Release commands ran for it.
    released  INTEGER NOT NULL,
    -- The copy of the database that was made before.
    backup    TEXT,
    -- It ran, and others were told that it does not run well any more.
    fell      INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Builds that came, or were to come, to run in a stage: none goes there by itself twice.
CREATE TABLE tried (
    project TEXT NOT NULL,
    stage   TEXT NOT NULL,
    build   INTEGER NOT NULL,
    PRIMARY KEY (project, stage, build)
) STRICT, WITHOUT ROWID;

CREATE INDEX deployments_of_stage ON deployments (workspace, id);

-- Jobs of builds and deployments that came to a state, until the notices of it are made.
CREATE TABLE news (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL,
    job     TEXT NOT NULL,
    state   TEXT NOT NULL,
    at      TEXT NOT NULL,
    -- Of a deployment that ended well: why it does not run well any more.
    fell    TEXT
) STRICT;

-- What others are to be told, until they are; those to one place go one after the other.
CREATE TABLE notices (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL,
    channel TEXT NOT NULL,
    -- A newer one about the same takes its place.
    about   TEXT,
    -- As JSON, without secrets.
    notice  TEXT NOT NULL,
    tries   INTEGER NOT NULL DEFAULT 0,
    due     TEXT NOT NULL
) STRICT;

CREATE INDEX notices_by_place ON notices (project, channel, id);

-- Where notices do not arrive, and how many were given up since the last that did.
CREATE TABLE notice_troubles (
    project TEXT NOT NULL,
    channel TEXT NOT NULL,
    since   TEXT NOT NULL,
    reason  TEXT NOT NULL,
    lost    INTEGER NOT NULL,
    PRIMARY KEY (project, channel)
) STRICT, WITHOUT ROWID;

-- The newest webhooks of each project: so many that were believed, so many that were not.
CREATE TABLE deliveries (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    project  TEXT NOT NULL,
    at       TEXT NOT NULL,
    scheme   TEXT NOT NULL,
    event    TEXT NOT NULL,
    sender_id TEXT NOT NULL,
    accepted INTEGER NOT NULL,
    -- Empty: not known yet.
    outcome  TEXT NOT NULL
) STRICT;

CREATE INDEX deliveries_of_project ON deliveries (project, accepted, id);

CREATE TABLE events (
    job  TEXT NOT NULL,
    seq  INTEGER NOT NULL,
    at   TEXT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (job, seq)
) STRICT, WITHOUT ROWID;

-- What the engines' files should say, so that doctor can tell when they say something else.
CREATE TABLE artifacts (
    workspace INTEGER NOT NULL,
    kind      TEXT NOT NULL,
    content   TEXT NOT NULL,
    PRIMARY KEY (workspace, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE owed (
    id         INTEGER PRIMARY KEY,
    job        TEXT NOT NULL,
    unit       TEXT NOT NULL,
    debt       TEXT NOT NULL,
    reason     TEXT NOT NULL,
    created_at TEXT NOT NULL,
    UNIQUE (unit, debt)
) STRICT;

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
    outcome   TEXT NOT NULL,
    -- Which program somebody ran in a workspace; empty for every other request.
    program   TEXT NOT NULL,
    -- The number of the build that it was about; 0: about none.
    build     INTEGER NOT NULL
) STRICT;

CREATE INDEX audit_by_time ON audit (at);

-- Where projects' workspaces live or lived, whatever their files say by now; `made`: cid made the folder.
CREATE TABLE work_dirs (
    project TEXT NOT NULL,
    path    TEXT NOT NULL,
    made    INTEGER NOT NULL,
    PRIMARY KEY (project, path)
) STRICT, WITHOUT ROWID;

-- People's rights by the last good file of each project, as JSON; in force while the file is bad or gone.
CREATE TABLE rights (
    project TEXT PRIMARY KEY,
    rights  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Links to sign in at the front; each is good once. Hashes alone: this file signs nobody in. Times are Unix seconds.
CREATE TABLE sign_in_links (
    token_hash TEXT PRIMARY KEY,
    code_hash  TEXT NOT NULL,
    email      TEXT NOT NULL,
    purpose    TEXT NOT NULL,
    made_at    INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX links_by_email ON sign_in_links (email);

-- Who is signed in at the front.
CREATE TABLE web_sessions (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    token_hash TEXT NOT NULL UNIQUE,
    email      TEXT NOT NULL,
    made_at    INTEGER NOT NULL,
    used_at    INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX sessions_by_email ON web_sessions (email);
