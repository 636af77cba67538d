-- Stored chat completions. One row per job of the work queue: a job that comes twice makes one row, and two answers to
-- which a provider gave the same id make two.
CREATE TABLE agents_completions (
    number   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant   text NOT NULL,
    job      text NOT NULL,
    id       text NOT NULL,                  -- as the client was told
    answered bigint NOT NULL,                -- Unix microseconds at which its caller had it; the order of lists
    stored   timestamptz NOT NULL DEFAULT now(),
    model    text NOT NULL,                  -- as the client wrote it
    metadata jsonb NOT NULL,
    object   bytea,                          -- JSON without its metadata; NULL once it was deleted
    size     integer NOT NULL,               -- bytes of it
    UNIQUE (tenant, job)
);
CREATE INDEX agents_completions_ids ON agents_completions (tenant, id);
CREATE INDEX agents_completions_order ON agents_completions (tenant, answered, number) WHERE object IS NOT NULL;
CREATE INDEX agents_completions_metadata ON agents_completions USING gin (metadata jsonb_path_ops);
CREATE INDEX agents_completions_age ON agents_completions (stored);

-- The messages of their requests: a row each, because a single one may be large.
CREATE TABLE agents_completion_messages (
    completion bigint NOT NULL REFERENCES agents_completions ON DELETE CASCADE,
    position   integer NOT NULL,             -- from 0
    object     bytea NOT NULL,               -- JSON
    size       integer NOT NULL,
    PRIMARY KEY (completion, position)
);
