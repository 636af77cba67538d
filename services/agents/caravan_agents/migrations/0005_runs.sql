-- Runs: responses that are under way and must survive whoever makes them. A row goes when its response is stored.
-- `epoch` grows with each process that takes a run over: whoever has an older one writes nothing any more.
CREATE TABLE agents_runs (
    number     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant     text NOT NULL,
    id         text NOT NULL,                       -- of its response
    created    timestamptz NOT NULL DEFAULT now(),
    model      text NOT NULL,
    principal  text NOT NULL,                       -- JSON
    background boolean NOT NULL,
    body       bytea NOT NULL,                      -- of the request
    status     text NOT NULL DEFAULT 'queued',      -- queued, in_progress
    published  boolean NOT NULL DEFAULT false,      -- whether its job is in the work queue
    owner      text NOT NULL DEFAULT '',            -- the process that has it
    epoch      integer NOT NULL DEFAULT 0,
    lease      timestamptz NOT NULL DEFAULT '-infinity',
    lost       integer NOT NULL DEFAULT 0,          -- owners that died since it last got on
    cancelled  boolean NOT NULL DEFAULT false,      -- somebody wishes its end
    opened     bytea,                               -- JSON: what its beginning made of the request
    checkpoint bytea,                               -- JSON: how far it is
    UNIQUE (tenant, id)
);
CREATE INDEX agents_runs_queued ON agents_runs (created) WHERE status = 'queued';
CREATE INDEX agents_runs_owner ON agents_runs (owner);

-- Calls of tools: begun before the work, with an outcome after it.
CREATE TABLE agents_calls (
    run     bigint NOT NULL REFERENCES agents_runs ON DELETE CASCADE,
    call    text NOT NULL,                          -- <turn>.<place in it>
    begun   timestamptz NOT NULL DEFAULT now(),
    outcome bytea,                                  -- JSON
    PRIMARY KEY (run, call)
);

-- The events of responses, in pieces.
CREATE TABLE agents_events (
    tenant   text NOT NULL,
    response text NOT NULL,
    first    integer NOT NULL,                      -- number of the first event
    created  timestamptz NOT NULL DEFAULT now(),
    data     bytea NOT NULL,                        -- as they are sent, deflated (RFC 1950)
    PRIMARY KEY (tenant, response, first)
);
CREATE INDEX agents_events_age ON agents_events (created);

-- Ends of responses in the background of which somebody is to be told; a row goes when that is queued.
CREATE TABLE agents_notices (
    tenant   text NOT NULL,
    response text NOT NULL,
    status   text NOT NULL,
    ended    bigint NOT NULL,                        -- Unix seconds
    PRIMARY KEY (tenant, response)
);
