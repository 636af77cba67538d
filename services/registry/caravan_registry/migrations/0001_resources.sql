-- One row: the revision of the registry. Whoever changes anything locks it first, so revisions have no gaps.
CREATE TABLE registry_state (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    revision bigint NOT NULL DEFAULT 0
);
INSERT INTO registry_state DEFAULT VALUES;

CREATE TABLE registry_resources (
    tenant         text NOT NULL,
    kind           text NOT NULL,
    id             text NOT NULL,
    source         text NOT NULL,
    revision       bigint NOT NULL,            -- of the change that made the row what it is
    created        bigint NOT NULL,            -- Unix seconds
    body           jsonb NOT NULL,
    status         text NOT NULL DEFAULT '',   -- of providers: what workers report; no part of what was put
    status_message text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant, kind, id)
);

-- A worker knows a provider by its id alone, so two tenants cannot have the same one.
CREATE UNIQUE INDEX registry_provider_ids ON registry_resources (id) WHERE kind = 'provider';
CREATE INDEX registry_models_of ON registry_resources ((body ->> 'provider_id')) WHERE kind = 'model';
CREATE INDEX registry_sources ON registry_resources (source);
