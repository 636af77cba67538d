-- A file belongs to every batch that it came with: who attaches it once more takes it away from nobody.
CREATE TABLE vector_batch_files (
    batch bigint NOT NULL REFERENCES vector_batches ON DELETE CASCADE,
    file  bigint NOT NULL REFERENCES vector_files ON DELETE CASCADE,
    PRIMARY KEY (batch, file)
);
CREATE INDEX vector_batch_files_file ON vector_batch_files (file);
INSERT INTO vector_batch_files SELECT batch, number FROM vector_files WHERE batch IS NOT NULL;
ALTER TABLE vector_files DROP COLUMN batch;
