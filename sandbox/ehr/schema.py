"""The tables of the EHR's file. `resource` holds what is current, `version` every version's text."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS resource (
    pk INTEGER PRIMARY KEY, type TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL,
    last_updated INTEGER NOT NULL, deleted INTEGER NOT NULL, subject TEXT, digest TEXT NOT NULL, UNIQUE (type, id)
);
CREATE INDEX IF NOT EXISTS resource_by_time ON resource (type, deleted, last_updated, id);
CREATE INDEX IF NOT EXISTS resource_by_subject ON resource (type, subject, deleted, last_updated, id);
CREATE TABLE IF NOT EXISTS version (
    resource INTEGER NOT NULL, version INTEGER NOT NULL, last_updated INTEGER NOT NULL, method TEXT NOT NULL,
    blob TEXT, json TEXT NOT NULL, UNIQUE (resource, version)
);
CREATE TABLE IF NOT EXISTS term (
    resource INTEGER NOT NULL, parameter TEXT NOT NULL, system TEXT NOT NULL, code TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS term_by_code ON term (parameter, code, system, resource);
CREATE INDEX IF NOT EXISTS term_by_resource ON term (resource);
CREATE TABLE IF NOT EXISTS moment (
    resource INTEGER NOT NULL, parameter TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS moment_by_resource ON moment (resource, parameter, first, last);
CREATE TABLE IF NOT EXISTS file (name TEXT PRIMARY KEY, content_type TEXT NOT NULL, sha256 TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS client (
    client_id TEXT PRIMARY KEY, kind TEXT NOT NULL, secret TEXT, jwks TEXT, scopes TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS client_by_secret ON client (secret);
CREATE TABLE IF NOT EXISTS token (
    hash TEXT PRIMARY KEY, client_id TEXT NOT NULL, scopes TEXT NOT NULL, expires_at INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS subscription (id TEXT PRIMARY KEY, base TEXT NOT NULL, events INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS assertion (
    client_id TEXT NOT NULL, jti TEXT NOT NULL, expires_at INTEGER NOT NULL, PRIMARY KEY (client_id, jti)
);
"""
