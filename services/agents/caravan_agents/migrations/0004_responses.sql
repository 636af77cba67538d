-- Responses that were stored, whole, and what went into them.
CREATE TABLE agents_responses (
    number       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant       text NOT NULL,
    id           text NOT NULL,
    created      timestamptz NOT NULL DEFAULT now(),
    model        text NOT NULL,
    previous     text,                          -- id of the response that it goes on from
    conversation text,                          -- id of the conversation that it is a part of
    position     integer,                       -- of its first item in that
    input        bytea NOT NULL,                -- JSON list of items
    object       bytea NOT NULL,                -- JSON of the response
    UNIQUE (tenant, id)
);
CREATE INDEX agents_responses_order ON agents_responses (tenant, number);
CREATE INDEX agents_responses_model ON agents_responses (tenant, model, number);
