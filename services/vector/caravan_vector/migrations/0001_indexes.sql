-- What the indexes know of vector stores. Attributes belong to files, so a change of them touches one row and no vector.
-- The row of a store is locked by whoever changes it, until that is committed: revisions are seen in their order.
CREATE TABLE vector_index_stores (
    number    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant    text NOT NULL,
    id        text NOT NULL,
    dimension integer NOT NULL,              -- of every vector in it
    revision  bigint NOT NULL DEFAULT 0,     -- of its last change
    removed   bigint NOT NULL DEFAULT 0,     -- of the last change that took chunks away
    counted   bigint NOT NULL DEFAULT 0,     -- chunks it had when its common words were counted
    UNIQUE (tenant, id)
);

CREATE TABLE vector_index_files (
    number     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    store      bigint NOT NULL REFERENCES vector_index_stores ON DELETE CASCADE,
    id         text NOT NULL,
    attributes jsonb NOT NULL DEFAULT '{}',
    chunks     integer NOT NULL DEFAULT 0,   -- how many it has
    UNIQUE (store, id)
);

-- Words that are in very many chunks of a large store: whoever searches for them shall not have to count them.
CREATE TABLE vector_common_words (
    store  bigint NOT NULL REFERENCES vector_index_stores ON DELETE CASCADE,
    word   text COLLATE "C" NOT NULL,        -- a lexeme
    chunks bigint NOT NULL,                  -- that have it
    PRIMARY KEY (store, word)
);

-- Large stores get an HNSW index of their own, WHERE store = n, which is made while the service runs. Parts keep the
-- number of indexes that a statement has to look at small.
CREATE TABLE vector_chunks (
    store     bigint NOT NULL,
    number    bigint GENERATED ALWAYS AS IDENTITY,
    file      bigint NOT NULL,
    id        text COLLATE "C" NOT NULL,
    position  integer NOT NULL,              -- in its file, from 0
    revision  bigint NOT NULL,               -- of the store, when it was written
    place     jsonb NOT NULL,                -- where in the document: page, sheet, heading
    text      text NOT NULL,
    words     tsvector NOT NULL GENERATED ALWAYS AS (to_tsvector('english', text)) STORED,
    embedding halfvec NOT NULL,              -- of length 1
    PRIMARY KEY (store, number),
    UNIQUE (store, id)
) PARTITION BY HASH (store);
-- read with every search, so not put elsewhere as long as it fits into a row
ALTER TABLE vector_chunks ALTER COLUMN embedding SET STORAGE MAIN;
CREATE INDEX vector_chunks_file ON vector_chunks (store, file, position);
CREATE INDEX vector_chunks_revision ON vector_chunks (store, revision);
CREATE INDEX vector_chunks_words ON vector_chunks USING gin (words);

DO $$ BEGIN
    FOR part IN 0..15 LOOP
        EXECUTE format(
            'CREATE TABLE vector_chunks_%s PARTITION OF vector_chunks FOR VALUES WITH (MODULUS 16, REMAINDER %s)', part, part
        );
    END LOOP;
END $$;
