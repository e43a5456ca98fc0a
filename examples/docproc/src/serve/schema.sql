-- The service's database. Every acknowledged document has a row before the answer is sent.
CREATE TABLE IF NOT EXISTS documents (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    -- 32 hex digits: content and configuration.
    id          TEXT    NOT NULL UNIQUE,
    content     TEXT    NOT NULL,
    config      TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    bytes       INTEGER NOT NULL,
    status      TEXT    NOT NULL CHECK (status IN ('queued', 'done', 'failed')),
    -- Taken up this often; a document that kills the whole service each time is given up by this.
    attempts    INTEGER NOT NULL DEFAULT 0,
    accepted_at INTEGER NOT NULL,
    finished_at INTEGER,
    microseconds INTEGER,
    format      TEXT,
    title       TEXT,
    language    TEXT,
    pages       INTEGER,
    words       INTEGER,
    -- The document without its text, and its timings, as JSON.
    result      TEXT,
    text        TEXT,
    -- Why it failed, as JSON.
    error       TEXT
);
CREATE INDEX IF NOT EXISTS documents_by_status ON documents (status, seq);

CREATE VIRTUAL TABLE IF NOT EXISTS document_text USING fts5 (
    name, title, text, content = 'documents', content_rowid = 'seq', tokenize = 'unicode61 remove_diacritics 2'
);
INSERT INTO document_text (document_text, rank) VALUES ('secure-delete', 1);
CREATE TRIGGER IF NOT EXISTS document_text_insert AFTER INSERT ON documents BEGIN
    INSERT INTO document_text (rowid, name, title, text) VALUES (new.seq, new.name, new.title, new.text);
END;
CREATE TRIGGER IF NOT EXISTS document_text_delete AFTER DELETE ON documents BEGIN
    INSERT INTO document_text (document_text, rowid, name, title, text)
    VALUES ('delete', old.seq, old.name, old.title, old.text);
END;
CREATE TRIGGER IF NOT EXISTS document_text_update AFTER UPDATE OF name, title, text ON documents BEGIN
    INSERT INTO document_text (document_text, rowid, name, title, text)
    VALUES ('delete', old.seq, old.name, old.title, old.text);
    INSERT INTO document_text (rowid, name, title, text) VALUES (new.seq, new.name, new.title, new.text);
END;

-- Near duplicates share at least one band of their signatures.
CREATE TABLE IF NOT EXISTS bands (
    band INTEGER NOT NULL,
    seq  INTEGER NOT NULL REFERENCES documents (seq) ON DELETE CASCADE,
    PRIMARY KEY (band, seq)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS bands_by_document ON bands (seq);
