-- What shields said, never of what. Rows come in batches and leave when they are old; nothing changes one.
CREATE TABLE safety_verdicts (
    number     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant     text NOT NULL,
    id         text COLLATE "C" NOT NULL,
    at         timestamptz NOT NULL,
    request_id text NOT NULL,
    shield     text NOT NULL,
    flagged    boolean NOT NULL,
    fact       jsonb NOT NULL,               -- VerdictFact
    UNIQUE (tenant, id)
);
CREATE INDEX safety_verdicts_page ON safety_verdicts (tenant, at DESC, number DESC);
CREATE INDEX safety_verdicts_flagged ON safety_verdicts (tenant, at DESC, number DESC) WHERE flagged;
CREATE INDEX safety_verdicts_request ON safety_verdicts (tenant, request_id);
CREATE INDEX safety_verdicts_old ON safety_verdicts (at);
