-- Version 1. Every acknowledged job has a row before the answer is sent. Times are milliseconds since 1970.
CREATE TABLE jobs (
    seq          INTEGER PRIMARY KEY,
    -- Sorts by acceptance.
    id           TEXT    NOT NULL UNIQUE,
    tenant       TEXT    NOT NULL,
    -- Idempotency: at most one job of a tenant has it.
    key          TEXT,
    name         TEXT    NOT NULL,
    state        TEXT    NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'failed', 'cancelled')),
    attempt      INTEGER NOT NULL DEFAULT 0,
    -- Which claim holds it; no two claims of a process have the same.
    holder       INTEGER,
    cancel_asked INTEGER NOT NULL DEFAULT 0,
    created_at   INTEGER NOT NULL,
    started_at   INTEGER,
    ended_at     INTEGER,
    next_try_at  INTEGER,
    results      INTEGER NOT NULL DEFAULT 0,
    artifacts    INTEGER NOT NULL DEFAULT 0,
    -- JSON, like what follows.
    failure      TEXT,
    inputs       TEXT    NOT NULL,
    flow         TEXT    NOT NULL,
    report       TEXT,
    CHECK ((state = 'running') = (holder IS NOT NULL)),
    CHECK ((state IN ('done', 'failed', 'cancelled')) = (ended_at IS NOT NULL))
);
CREATE UNIQUE INDEX jobs_by_key ON jobs (tenant, key) WHERE key IS NOT NULL;
-- Claims, counts, and lists of one state.
CREATE INDEX jobs_by_tenant_and_state ON jobs (tenant, state, id);
CREATE INDEX jobs_by_state ON jobs (state, id);
CREATE INDEX jobs_by_tenant ON jobs (tenant, id);
CREATE INDEX jobs_by_end ON jobs (ended_at, seq) WHERE ended_at IS NOT NULL;

-- When each tenant was last given a turn, as a count of turns.
CREATE TABLE tenants (
    tenant TEXT    PRIMARY KEY,
    served INTEGER NOT NULL
) WITHOUT ROWID;

-- Which jobs' reports name which artifacts.
CREATE TABLE job_artifacts (
    hash TEXT    NOT NULL,
    job  INTEGER NOT NULL REFERENCES jobs (seq) ON DELETE CASCADE,
    PRIMARY KEY (hash, job)
) WITHOUT ROWID;
CREATE INDEX artifacts_by_job ON job_artifacts (job);

-- Artifacts that a report stopped naming; the next prune tells of those that none names.
CREATE TABLE released (
    hash TEXT PRIMARY KEY
) WITHOUT ROWID;
