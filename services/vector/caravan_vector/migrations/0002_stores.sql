-- Vector stores as clients know them. What an index has of one is in the tables of 0001, under the same tenant and id.
CREATE TABLE vector_stores (
    number       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant       text NOT NULL,
    id           text NOT NULL UNIQUE,
    state        text NOT NULL CHECK (state IN ('making', 'ready', 'removing')),
    name         text NOT NULL DEFAULT '',
    description  text,
    metadata     jsonb NOT NULL DEFAULT '{}',
    created      timestamptz NOT NULL DEFAULT now(),
    active       timestamptz NOT NULL DEFAULT now(),  -- when it was last used
    expires_days integer,                             -- after its last use; null = never
    emptied      boolean NOT NULL DEFAULT false,      -- it has expired, and its chunks are gone
    unsettled    timestamptz,                         -- since when something is in it that its index was not made ready for
    provider     text NOT NULL,                       -- which index
    model        text NOT NULL,                       -- which makes its vectors
    dimension    integer NOT NULL,
    chunking     jsonb NOT NULL
);
CREATE INDEX vector_stores_tenant ON vector_stores (tenant, created, number) WHERE state = 'ready';
CREATE INDEX vector_stores_unready ON vector_stores (number) WHERE state <> 'ready';
CREATE INDEX vector_stores_unsettled ON vector_stores (number) WHERE unsettled IS NOT NULL;

CREATE TABLE vector_batches (
    number    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    store     bigint NOT NULL REFERENCES vector_stores ON DELETE CASCADE,
    id        text NOT NULL UNIQUE,
    created   timestamptz NOT NULL DEFAULT now(),
    cancelled boolean NOT NULL DEFAULT false
);
CREATE INDEX vector_batches_store ON vector_batches (store);

-- A file in a store. Its chunks bear its number, so one that is attached again never meets what is left of itself.
CREATE TABLE vector_files (
    number     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    store      bigint NOT NULL REFERENCES vector_stores ON DELETE CASCADE,
    id         text NOT NULL,                -- of the file
    filename   text NOT NULL,
    attributes jsonb NOT NULL DEFAULT '{}',
    chunking   jsonb NOT NULL,
    principal  text NOT NULL,                -- who attached it: in whose name models are asked
    status     text NOT NULL CHECK (status IN ('in_progress', 'completed', 'failed', 'cancelled', 'removing')),
    error      text,                         -- code of what went wrong
    reason     text,
    created    timestamptz NOT NULL DEFAULT now(),
    chunks     integer NOT NULL DEFAULT 0,   -- so many of its chunks are in the index
    bytes      bigint NOT NULL DEFAULT 0,    -- of their texts and vectors
    done       integer NOT NULL DEFAULT -1,  -- position of the last chunk up to which all are there
    left_over  boolean NOT NULL DEFAULT true, -- chunks may be in the index that have to go, if its status says so
    epoch      integer NOT NULL DEFAULT 0,   -- of the worker that has it: whoever had it before writes nothing
    lease      timestamptz NOT NULL DEFAULT '-infinity', -- until when that worker is believed to be at it
    lost       integer NOT NULL DEFAULT 0,   -- times in a row that a worker left it without getting on
    troubled   timestamptz,                        -- since when what it needs is away; null = it is not
    queued     timestamptz,                        -- when its job was last put into the queue
    seen       timestamptz NOT NULL DEFAULT now()  -- when the file was last known to be there
);
CREATE UNIQUE INDEX vector_files_id ON vector_files (store, id) WHERE status <> 'removing';
CREATE INDEX vector_files_created ON vector_files (store, created, number);
CREATE INDEX vector_files_status ON vector_files (store, status);
CREATE INDEX vector_files_under_way ON vector_files (lease) WHERE status = 'in_progress';
CREATE INDEX vector_files_over ON vector_files (number)
    WHERE status = 'removing' OR (status IN ('failed', 'cancelled') AND left_over);
CREATE INDEX vector_files_file ON vector_files (id);
CREATE INDEX vector_files_seen ON vector_files (seen);

-- A file belongs to every batch that it came with: who attaches it once more takes it away from nobody.
CREATE TABLE vector_batch_files (
    batch bigint NOT NULL REFERENCES vector_batches ON DELETE CASCADE,
    file  bigint NOT NULL REFERENCES vector_files ON DELETE CASCADE,
    PRIMARY KEY (batch, file)
);
CREATE INDEX vector_batch_files_file ON vector_batch_files (file);
