-- Prompts and their versions. A version never changes once it was made.
CREATE TABLE agents_prompts (
    number          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant          text NOT NULL,
    id              text NOT NULL,
    created         timestamptz NOT NULL DEFAULT now(),
    latest          integer NOT NULL,            -- the newest version
    default_version integer NOT NULL,
    UNIQUE (tenant, id)
);
CREATE INDEX agents_prompts_order ON agents_prompts (tenant, number);

CREATE TABLE agents_prompt_versions (
    prompt    bigint NOT NULL REFERENCES agents_prompts ON DELETE CASCADE,
    version   integer NOT NULL,                  -- from 1
    template  text NOT NULL,
    variables text[] NOT NULL,                   -- in the order in which they stand in the template
    size      integer NOT NULL,                  -- bytes of both as JSON
    created   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (prompt, version)
);
