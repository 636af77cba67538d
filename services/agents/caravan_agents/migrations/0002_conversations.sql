-- Conversations. The row of one is locked by whoever adds to it, until that is committed: its counter gives positions
-- in the order of the commits, so nothing ever appears in front of what somebody has read.
CREATE TABLE agents_conversations (
    number        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant        text NOT NULL,
    id            text NOT NULL,
    created       timestamptz NOT NULL DEFAULT now(),
    metadata      jsonb NOT NULL,
    next_position integer NOT NULL,              -- of the item that comes next
    items         integer NOT NULL,              -- how many there are
    bytes         bigint NOT NULL,               -- of them all
    UNIQUE (tenant, id)
);

CREATE TABLE agents_conversation_items (
    conversation bigint NOT NULL REFERENCES agents_conversations ON DELETE CASCADE,
    position     integer NOT NULL,               -- from 0
    id           text NOT NULL,
    object       bytea,                          -- JSON; NULL once it was deleted: lists go on behind it for a while
    size         integer NOT NULL,               -- bytes of it
    deleted      timestamptz,
    PRIMARY KEY (conversation, position),
    UNIQUE (conversation, id)
);
CREATE INDEX agents_conversation_items_deleted ON agents_conversation_items (conversation, deleted)
    WHERE deleted IS NOT NULL;
