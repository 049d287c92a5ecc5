-- The tables of healthrecords (PostgreSQL 18), exported from the models. The migrations in app/migrations are what runs.

CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE EXTENSION IF NOT EXISTS btree_gin;

CREATE TABLE event (
    stream TEXT NOT NULL,
    seq BIGINT NOT NULL,
    kind TEXT NOT NULL,
    ids JSONB NOT NULL,
    at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_event PRIMARY KEY (stream, seq)
);

CREATE TABLE event_stream (
    stream TEXT NOT NULL,
    seq BIGINT NOT NULL,
    CONSTRAINT pk_event_stream PRIMARY KEY (stream)
);

CREATE TABLE platforms (
    name TEXT NOT NULL,
    kind VARCHAR(40) NOT NULL,
    base_url TEXT NOT NULL,
    credentials BYTEA,
    id UUID DEFAULT uuidv7() NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_platforms PRIMARY KEY (id),
    CONSTRAINT uq_platforms_name UNIQUE (name),
    CONSTRAINT ck_platforms_platformkind CHECK (kind IN ('NONE', 'CAREPATRON'))
);

CREATE TABLE providers (
    name TEXT NOT NULL,
    base_url TEXT NOT NULL,
    auth_kind VARCHAR(40) NOT NULL,
    credentials BYTEA,
    file_hosts TEXT[] DEFAULT '{}' NOT NULL,
    page_size INTEGER DEFAULT '50' NOT NULL,
    health_status VARCHAR(40) DEFAULT 'UNKNOWN' NOT NULL,
    health_checked_at TIMESTAMP WITH TIME ZONE,
    health_detail TEXT,
    capabilities JSONB DEFAULT '[]' NOT NULL,
    id UUID DEFAULT uuidv7() NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_providers PRIMARY KEY (id),
    CONSTRAINT uq_providers_name UNIQUE (name),
    CONSTRAINT ck_providers_authkind CHECK (auth_kind IN ('NONE', 'BEARER', 'BASIC', 'SMART_BACKEND')),
    CONSTRAINT ck_providers_healthstatus CHECK (health_status IN ('UNKNOWN', 'HEALTHY', 'DEGRADED', 'UNREACHABLE'))
);

CREATE TABLE users (
    email TEXT NOT NULL,
    name TEXT NOT NULL,
    type VARCHAR(40) NOT NULL,
    carepatron_id TEXT,
    password_hash TEXT,
    id UUID DEFAULT uuidv7() NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_users PRIMARY KEY (id),
    CONSTRAINT ck_users_email_lower CHECK (email = lower(email)),
    CONSTRAINT uq_users_email UNIQUE (email),
    CONSTRAINT ck_users_role CHECK (type IN ('DIETICIAN', 'PATIENT', 'PRACTITIONER', 'ADMIN'))
);

CREATE TABLE work (
    id UUID DEFAULT uuidv7() NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    kind TEXT NOT NULL,
    subject_id UUID NOT NULL,
    due_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    lease_until TIMESTAMP WITH TIME ZONE,
    fence BIGINT DEFAULT '0' NOT NULL,
    attempts INTEGER DEFAULT '0' NOT NULL,
    max_attempts INTEGER DEFAULT '3' NOT NULL,
    hinted_at TIMESTAMP WITH TIME ZONE,
    last_error TEXT,
    done_at TIMESTAMP WITH TIME ZONE,
    dead_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_work PRIMARY KEY (id)
);
CREATE INDEX ix_work_due ON work (due_at) WHERE done_at IS NULL AND dead_at IS NULL;
CREATE UNIQUE INDEX uq_work_open_subject ON work (kind, subject_id) WHERE done_at IS NULL AND dead_at IS NULL;

CREATE TABLE patients (
    name TEXT NOT NULL,
    email TEXT,
    birth_date DATE,
    contact_details JSONB DEFAULT '{}' NOT NULL,
    medical_history TEXT,
    dietary_preferences JSONB DEFAULT '{}' NOT NULL,
    carepatron_patient_id TEXT,
    user_id UUID NOT NULL,
    account_id UUID,
    primary_provider_id UUID,
    provider_patient_id TEXT,
    platform_id UUID,
    sync_status VARCHAR(40) DEFAULT 'NEVER' NOT NULL,
    last_verified_at TIMESTAMP WITH TIME ZONE,
    id UUID DEFAULT uuidv7() NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_patients PRIMARY KEY (id),
    CONSTRAINT fk_patients_user_id FOREIGN KEY(user_id) REFERENCES users (id),
    CONSTRAINT fk_patients_account_id FOREIGN KEY(account_id) REFERENCES users (id),
    CONSTRAINT fk_patients_primary_provider_id FOREIGN KEY(primary_provider_id) REFERENCES providers (id),
    CONSTRAINT fk_patients_platform_id FOREIGN KEY(platform_id) REFERENCES platforms (id),
    CONSTRAINT ck_patients_patientsyncstatus CHECK (sync_status IN ('NEVER', 'QUEUED', 'RUNNING', 'SUCCEEDED', 'SUCCEEDED_WITH_GAPS', 'FAILED', 'CANCELLED'))
);
CREATE INDEX ix_patients_account_id ON patients (account_id);
CREATE INDEX ix_patients_email ON patients (lower(email));
CREATE INDEX ix_patients_name_trgm ON patients USING gin (name gin_trgm_ops);
CREATE INDEX ix_patients_user_id_name ON patients (user_id, lower(name), id);

CREATE TABLE sessions (
    user_id UUID NOT NULL,
    refresh_hash TEXT NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    revoked_at TIMESTAMP WITH TIME ZONE,
    id UUID DEFAULT uuidv7() NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_sessions PRIMARY KEY (id),
    CONSTRAINT fk_sessions_user_id FOREIGN KEY(user_id) REFERENCES users (id),
    CONSTRAINT uq_sessions_refresh_hash UNIQUE (refresh_hash)
);
CREATE INDEX ix_sessions_user_id ON sessions (user_id);

CREATE TABLE healthcare_documents (
    patient_id UUID NOT NULL,
    owner_id UUID NOT NULL,
    type VARCHAR(40) NOT NULL,
    title TEXT NOT NULL,
    date TIMESTAMP WITH TIME ZONE,
    author TEXT DEFAULT '' NOT NULL,
    content TEXT,
    source VARCHAR(40) NOT NULL,
    source_name TEXT NOT NULL,
    provider_id UUID,
    uploaded_by UUID,
    status VARCHAR(40) NOT NULL,
    version INTEGER DEFAULT '1' NOT NULL,
    content_hash BYTEA NOT NULL,
    changed_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    significant_at TIMESTAMP WITH TIME ZONE,
    tsv TSVECTOR DEFAULT ''::tsvector NOT NULL,
    id UUID DEFAULT uuidv7() NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_healthcare_documents PRIMARY KEY (id),
    CONSTRAINT fk_healthcare_documents_patient_id FOREIGN KEY(patient_id) REFERENCES patients (id),
    CONSTRAINT fk_healthcare_documents_owner_id FOREIGN KEY(owner_id) REFERENCES users (id),
    CONSTRAINT ck_healthcare_documents_documenttype CHECK (type IN ('LAB_REPORT', 'PROGRESS_NOTE', 'PHYSICAL_ASSESSMENT', 'NUTRITION_NOTE', 'REFERRAL_LETTER', 'DISCHARGE_SUMMARY', 'CONSULTATION_NOTE', 'EMERGENCY_NOTE', 'PROCEDURE_NOTE', 'PATHOLOGY_REPORT', 'IMAGING_REPORT', 'CARE_SUMMARY', 'LETTER', 'OTHER')),
    CONSTRAINT ck_healthcare_documents_sourcekind CHECK (source IN ('PROVIDER', 'USER')),
    CONSTRAINT fk_healthcare_documents_provider_id FOREIGN KEY(provider_id) REFERENCES providers (id),
    CONSTRAINT fk_healthcare_documents_uploaded_by FOREIGN KEY(uploaded_by) REFERENCES users (id),
    CONSTRAINT ck_healthcare_documents_documentstatus CHECK (status IN ('CURRENT', 'SUPERSEDED', 'WITHDRAWN', 'RETRACTED'))
);
CREATE INDEX ix_healthcare_documents_owner_date ON healthcare_documents (owner_id, coalesce(date, '-infinity'::timestamptz), id);
CREATE INDEX ix_healthcare_documents_patient_date ON healthcare_documents (patient_id, coalesce(date, '-infinity'::timestamptz), id);
CREATE INDEX ix_healthcare_documents_search ON healthcare_documents USING gin (owner_id, tsv);

CREATE TABLE sync_cursors (
    patient_id UUID NOT NULL,
    provider_id UUID NOT NULL,
    provider_patient_id TEXT NOT NULL,
    since TIMESTAMP WITH TIME ZONE NOT NULL,
    id UUID DEFAULT uuidv7() NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_sync_cursors PRIMARY KEY (id),
    CONSTRAINT fk_sync_cursors_patient_id FOREIGN KEY(patient_id) REFERENCES patients (id),
    CONSTRAINT fk_sync_cursors_provider_id FOREIGN KEY(provider_id) REFERENCES providers (id)
);
CREATE UNIQUE INDEX uq_sync_cursors_patient ON sync_cursors (patient_id, provider_id);

CREATE TABLE sync_runs (
    patient_id UUID NOT NULL,
    owner_id UUID NOT NULL,
    provider_id UUID NOT NULL,
    provider_patient_id TEXT NOT NULL,
    requested_by UUID,
    retry_of_id UUID,
    idempotency_key TEXT,
    mode VARCHAR(40) NOT NULL,
    trigger VARCHAR(40) NOT NULL,
    status VARCHAR(40) DEFAULT 'QUEUED' NOT NULL,
    stage VARCHAR(40) DEFAULT 'CONNECTING' NOT NULL,
    percent INTEGER DEFAULT '0' NOT NULL,
    estimated BOOLEAN DEFAULT 'true' NOT NULL,
    expected INTEGER DEFAULT '0' NOT NULL,
    discovered INTEGER DEFAULT '0' NOT NULL,
    fetched INTEGER DEFAULT '0' NOT NULL,
    created INTEGER DEFAULT '0' NOT NULL,
    updated INTEGER DEFAULT '0' NOT NULL,
    unchanged INTEGER DEFAULT '0' NOT NULL,
    joined INTEGER DEFAULT '0' NOT NULL,
    skipped INTEGER DEFAULT '0' NOT NULL,
    withdrawn INTEGER DEFAULT '0' NOT NULL,
    failed INTEGER DEFAULT '0' NOT NULL,
    published INTEGER DEFAULT '0' NOT NULL,
    bytes BIGINT DEFAULT '0' NOT NULL,
    resumed INTEGER DEFAULT '0' NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE,
    finished_at TIMESTAMP WITH TIME ZONE,
    server_time TIMESTAMP WITH TIME ZONE,
    error_code TEXT,
    error_detail TEXT,
    id UUID DEFAULT uuidv7() NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_sync_runs PRIMARY KEY (id),
    CONSTRAINT fk_sync_runs_patient_id FOREIGN KEY(patient_id) REFERENCES patients (id),
    CONSTRAINT fk_sync_runs_owner_id FOREIGN KEY(owner_id) REFERENCES users (id),
    CONSTRAINT fk_sync_runs_provider_id FOREIGN KEY(provider_id) REFERENCES providers (id),
    CONSTRAINT fk_sync_runs_requested_by FOREIGN KEY(requested_by) REFERENCES users (id),
    CONSTRAINT fk_sync_runs_retry_of_id FOREIGN KEY(retry_of_id) REFERENCES sync_runs (id),
    CONSTRAINT ck_sync_runs_runmode CHECK (mode IN ('INCREMENTAL', 'FULL')),
    CONSTRAINT ck_sync_runs_runtrigger CHECK (trigger IN ('MANUAL', 'AUTOMATIC')),
    CONSTRAINT ck_sync_runs_runstatus CHECK (status IN ('QUEUED', 'RUNNING', 'SUCCEEDED', 'SUCCEEDED_WITH_GAPS', 'FAILED', 'CANCELLED')),
    CONSTRAINT ck_sync_runs_runstage CHECK (stage IN ('CONNECTING', 'LISTING', 'FETCHING', 'STORING', 'PUBLISHING', 'DONE'))
);
CREATE INDEX ix_sync_runs_owner_id ON sync_runs (owner_id, id);
CREATE INDEX ix_sync_runs_patient_id ON sync_runs (patient_id, id);
CREATE UNIQUE INDEX uq_sync_runs_idempotency_key ON sync_runs (requested_by, idempotency_key);
CREATE UNIQUE INDEX uq_sync_runs_open_patient ON sync_runs (patient_id) WHERE status IN ('QUEUED', 'RUNNING');

CREATE TABLE document_sources (
    document_id UUID NOT NULL,
    patient_id UUID NOT NULL,
    provider_id UUID NOT NULL,
    resource_type TEXT NOT NULL,
    reference TEXT NOT NULL,
    version_id TEXT NOT NULL,
    last_updated TIMESTAMP WITH TIME ZONE,
    digest BYTEA NOT NULL,
    content_hash BYTEA NOT NULL,
    link_keys TEXT[] DEFAULT '{}' NOT NULL,
    incomplete BOOLEAN DEFAULT 'false' NOT NULL,
    "leading" BOOLEAN NOT NULL,
    replaces TEXT[] DEFAULT '{}' NOT NULL,
    seen_run_id UUID,
    withdrawn_at TIMESTAMP WITH TIME ZONE,
    id UUID DEFAULT uuidv7() NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_document_sources PRIMARY KEY (id),
    CONSTRAINT fk_document_sources_document_id FOREIGN KEY(document_id) REFERENCES healthcare_documents (id),
    CONSTRAINT fk_document_sources_patient_id FOREIGN KEY(patient_id) REFERENCES patients (id),
    CONSTRAINT fk_document_sources_provider_id FOREIGN KEY(provider_id) REFERENCES providers (id)
);
CREATE INDEX ix_document_sources_document_id ON document_sources (document_id);
CREATE INDEX ix_document_sources_replacing ON document_sources (patient_id, provider_id) WHERE cardinality(replaces) > 0;
CREATE UNIQUE INDEX uq_document_sources_reference ON document_sources (patient_id, provider_id, reference);

CREATE TABLE document_texts (
    document_id UUID NOT NULL,
    content TEXT NOT NULL,
    CONSTRAINT pk_document_texts PRIMARY KEY (document_id),
    CONSTRAINT fk_document_texts_document_id FOREIGN KEY(document_id) REFERENCES healthcare_documents (id)
);

CREATE TABLE document_versions (
    document_id UUID NOT NULL,
    number INTEGER NOT NULL,
    content_hash BYTEA NOT NULL,
    changes JSONB DEFAULT '[]' NOT NULL,
    id UUID DEFAULT uuidv7() NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_document_versions PRIMARY KEY (id),
    CONSTRAINT fk_document_versions_document_id FOREIGN KEY(document_id) REFERENCES healthcare_documents (id)
);
CREATE UNIQUE INDEX uq_document_versions_number ON document_versions (document_id, number);

CREATE TABLE files (
    document_id UUID NOT NULL,
    version INTEGER NOT NULL,
    position INTEGER NOT NULL,
    content_type TEXT NOT NULL,
    filename TEXT NOT NULL,
    size INTEGER,
    sha256 TEXT,
    integrity VARCHAR(40) NOT NULL,
    missing TEXT,
    id UUID DEFAULT uuidv7() NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_files PRIMARY KEY (id),
    CONSTRAINT fk_files_document_id FOREIGN KEY(document_id) REFERENCES healthcare_documents (id),
    CONSTRAINT ck_files_integrity CHECK (integrity IN ('VERIFIED', 'UNDECLARED', 'MISMATCHED', 'MISSING'))
);
CREATE UNIQUE INDEX uq_files_position ON files (document_id, version, position);

CREATE TABLE sync_failures (
    run_id UUID NOT NULL,
    reference TEXT NOT NULL,
    code TEXT NOT NULL,
    detail TEXT NOT NULL,
    severity VARCHAR(40) NOT NULL,
    id UUID DEFAULT uuidv7() NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_sync_failures PRIMARY KEY (id),
    CONSTRAINT fk_sync_failures_run_id FOREIGN KEY(run_id) REFERENCES sync_runs (id),
    CONSTRAINT ck_sync_failures_severity CHECK (severity IN ('FAILURE', 'WARNING'))
);
CREATE INDEX ix_sync_failures_run_id ON sync_failures (run_id, id);

CREATE TABLE sync_pages (
    run_id UUID NOT NULL,
    resource_type TEXT NOT NULL,
    number INTEGER NOT NULL,
    next_link TEXT,
    expected INTEGER,
    seen INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    filtered BOOLEAN NOT NULL,
    id UUID DEFAULT uuidv7() NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_sync_pages PRIMARY KEY (id),
    CONSTRAINT fk_sync_pages_run_id FOREIGN KEY(run_id) REFERENCES sync_runs (id)
);
CREATE UNIQUE INDEX uq_sync_pages_number ON sync_pages (run_id, resource_type, number);

CREATE TABLE synchronization_log (
    patient_id UUID NOT NULL,
    owner_id UUID NOT NULL,
    document_id UUID,
    run_id UUID,
    action TEXT NOT NULL,
    timestamp TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    status VARCHAR(40) NOT NULL,
    details TEXT DEFAULT '' NOT NULL,
    id UUID DEFAULT uuidv7() NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_synchronization_log PRIMARY KEY (id),
    CONSTRAINT fk_synchronization_log_patient_id FOREIGN KEY(patient_id) REFERENCES patients (id),
    CONSTRAINT fk_synchronization_log_owner_id FOREIGN KEY(owner_id) REFERENCES users (id),
    CONSTRAINT fk_synchronization_log_document_id FOREIGN KEY(document_id) REFERENCES healthcare_documents (id),
    CONSTRAINT fk_synchronization_log_run_id FOREIGN KEY(run_id) REFERENCES sync_runs (id),
    CONSTRAINT ck_synchronization_log_logstatus CHECK (status IN ('STARTED', 'SUCCESS', 'WARNING', 'ERROR'))
);
CREATE INDEX ix_synchronization_log_document ON synchronization_log (document_id, timestamp);
CREATE INDEX ix_synchronization_log_owner ON synchronization_log (owner_id, timestamp, id);
CREATE INDEX ix_synchronization_log_patient ON synchronization_log (patient_id, timestamp, id);
CREATE INDEX ix_synchronization_log_run ON synchronization_log (run_id, timestamp);

CREATE TABLE platform_receipts (
    platform_id UUID NOT NULL,
    patient_id UUID NOT NULL,
    document_id UUID NOT NULL,
    file_id UUID NOT NULL,
    reference TEXT NOT NULL,
    attachment_id TEXT,
    state VARCHAR(40) DEFAULT 'PENDING' NOT NULL,
    attempts INTEGER DEFAULT '0' NOT NULL,
    error_code TEXT,
    id UUID DEFAULT uuidv7() NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_platform_receipts PRIMARY KEY (id),
    CONSTRAINT fk_platform_receipts_platform_id FOREIGN KEY(platform_id) REFERENCES platforms (id),
    CONSTRAINT fk_platform_receipts_patient_id FOREIGN KEY(patient_id) REFERENCES patients (id),
    CONSTRAINT fk_platform_receipts_document_id FOREIGN KEY(document_id) REFERENCES healthcare_documents (id),
    CONSTRAINT fk_platform_receipts_file_id FOREIGN KEY(file_id) REFERENCES files (id),
    CONSTRAINT ck_platform_receipts_receiptstate CHECK (state IN ('PENDING', 'SENDING', 'PROCESSING', 'CONFIRMED', 'FAILED'))
);
CREATE INDEX ix_platform_receipts_patient ON platform_receipts (patient_id, state);
CREATE UNIQUE INDEX uq_platform_receipts_reference ON platform_receipts (platform_id, reference);
