-- Files, and uploads that become files. A row is there before its bytes, and until they are gone: nothing can lie in
-- the object store that no row tells of, however a process ends.
CREATE TABLE files_files (
    number     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant     text NOT NULL,
    id         text NOT NULL UNIQUE,
    key        text NOT NULL UNIQUE,               -- in the object store
    state      text NOT NULL DEFAULT 'uploading' CHECK (state IN ('uploading', 'ready', 'removing')),
    lease      timestamptz NOT NULL,               -- of 'uploading': by then it is ready, or given up
    purpose    text NOT NULL DEFAULT '',
    filename   text NOT NULL DEFAULT '',
    media_type text NOT NULL DEFAULT '',
    bytes      bigint NOT NULL DEFAULT 0,
    sha256     text NOT NULL DEFAULT '',
    created    timestamptz NOT NULL DEFAULT now(), -- when it was ready
    expires    timestamptz                         -- from then on nobody sees it
);
CREATE INDEX files_files_order ON files_files (tenant, created, number) WHERE state = 'ready';
CREATE INDEX files_files_expiry ON files_files (expires) WHERE state = 'ready' AND expires IS NOT NULL;
CREATE INDEX files_files_unfinished ON files_files (lease) WHERE state <> 'ready';

CREATE TABLE files_uploads (
    number        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant        text NOT NULL,
    id            text NOT NULL UNIQUE,
    status        text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'completed', 'cancelled')),
    purpose       text NOT NULL,
    filename      text NOT NULL,
    media_type    text NOT NULL,
    bytes         bigint NOT NULL,                 -- that are to come
    expires_after integer,                         -- seconds, of the file
    created       timestamptz NOT NULL DEFAULT now(),
    expires       timestamptz NOT NULL,            -- of the upload
    file          text,                            -- that it became
    parts         text[]                           -- of which it was made, in order
);
CREATE INDEX files_uploads_expiry ON files_uploads (expires);

CREATE TABLE files_parts (
    number  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant  text NOT NULL,
    id      text NOT NULL UNIQUE,
    upload  text NOT NULL,
    key     text NOT NULL UNIQUE,
    state   text NOT NULL DEFAULT 'uploading' CHECK (state IN ('uploading', 'ready', 'removing')),
    lease   timestamptz NOT NULL,
    bytes   bigint NOT NULL DEFAULT 0,
    sha256  text NOT NULL DEFAULT '',
    created timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX files_parts_upload ON files_parts (upload);
CREATE INDEX files_parts_tenant ON files_parts (tenant) WHERE state = 'ready';
CREATE INDEX files_parts_unfinished ON files_parts (lease) WHERE state <> 'ready';
