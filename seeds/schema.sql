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

CREATE TABLE gates (
    key TEXT NOT NULL,
    tokens DOUBLE PRECISION NOT NULL,
    granted DOUBLE PRECISION DEFAULT '0' NOT NULL,
    refilled_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    pace DOUBLE PRECISION DEFAULT '1' NOT NULL,
    slowed_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    failures INTEGER DEFAULT '0' NOT NULL,
    pauses INTEGER DEFAULT '0' NOT NULL,
    paused_until TIMESTAMP WITH TIME ZONE,
    throttled BOOLEAN DEFAULT 'false' NOT NULL,
    probe_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_gates PRIMARY KEY (key)
);

CREATE TABLE platforms (
    name TEXT NOT NULL,
    kind VARCHAR(40) NOT NULL,
    base_url TEXT NOT NULL,
    credentials BYTEA,
    webhook_secret BYTEA,
    webhook_checked_at TIMESTAMP WITH TIME ZONE,
    webhook_problem TEXT,
    id UUID DEFAULT uuidv7() NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_platforms PRIMARY KEY (id),
    CONSTRAINT uq_platforms_name UNIQUE (name),
    CONSTRAINT ck_platforms_platformkind CHECK (kind IN ('NONE', 'CAREPATRON', 'HEALTHIE'))
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
    strategy JSONB DEFAULT '{}' NOT NULL,
    sync_every_minutes INTEGER,
    sweep_every_days INTEGER DEFAULT '7' NOT NULL,
    requests_per_second DOUBLE PRECISION,
    revision INTEGER DEFAULT '1' NOT NULL,
    former_credentials BYTEA,
    key_changes_at TIMESTAMP WITH TIME ZONE,
    former_key_until TIMESTAMP WITH TIME ZONE,
    id UUID DEFAULT uuidv7() NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_providers PRIMARY KEY (id),
    CONSTRAINT ck_providers_sync_every_minutes CHECK (sync_every_minutes >= 1),
    CONSTRAINT ck_providers_sweep_every_days CHECK (sweep_every_days >= 1),
    CONSTRAINT ck_providers_requests_per_second CHECK (requests_per_second > 0),
    CONSTRAINT ck_providers_former_key CHECK ((former_credentials IS NULL) = (key_changes_at IS NULL) AND (former_credentials IS NULL) = (former_key_until IS NULL)),
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
    silent INTEGER DEFAULT '0' NOT NULL,
    waiting_since TIMESTAMP WITH TIME ZONE,
    last_error TEXT,
    done_at TIMESTAMP WITH TIME ZONE,
    dead_at TIMESTAMP WITH TIME ZONE,
    replayed_at TIMESTAMP WITH TIME ZONE,
    replayed_by UUID,
    CONSTRAINT pk_work PRIMARY KEY (id)
);
CREATE INDEX ix_work_dead ON work (dead_at, id) WHERE dead_at IS NOT NULL AND replayed_at IS NULL;
CREATE INDEX ix_work_due ON work (due_at) WHERE done_at IS NULL AND dead_at IS NULL;
CREATE UNIQUE INDEX uq_work_open_subject ON work (kind, subject_id) WHERE done_at IS NULL AND dead_at IS NULL;

CREATE TABLE exports (
    provider_id UUID NOT NULL,
    group_id TEXT NOT NULL,
    requested_by UUID NOT NULL,
    state VARCHAR(40) DEFAULT 'REQUESTED' NOT NULL,
    since TIMESTAMP WITH TIME ZONE,
    address TEXT,
    transaction_time TIMESTAMP WITH TIME ZONE,
    token BOOLEAN DEFAULT 'true' NOT NULL,
    progress TEXT DEFAULT '' NOT NULL,
    percent INTEGER DEFAULT '0' NOT NULL,
    files INTEGER DEFAULT '0' NOT NULL,
    files_done INTEGER DEFAULT '0' NOT NULL,
    resources INTEGER DEFAULT '0' NOT NULL,
    deletions INTEGER DEFAULT '0' NOT NULL,
    unknown INTEGER DEFAULT '0' NOT NULL,
    bytes BIGINT DEFAULT '0' NOT NULL,
    gaps INTEGER DEFAULT '0' NOT NULL,
    problems JSONB DEFAULT '[]' NOT NULL,
    patients INTEGER DEFAULT '0' NOT NULL,
    patients_done INTEGER DEFAULT '0' NOT NULL,
    patients_failed INTEGER DEFAULT '0' NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE,
    finished_at TIMESTAMP WITH TIME ZONE,
    error_code TEXT,
    error_detail TEXT,
    id UUID DEFAULT uuidv7() NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_exports PRIMARY KEY (id),
    CONSTRAINT fk_exports_provider_id FOREIGN KEY(provider_id) REFERENCES providers (id),
    CONSTRAINT fk_exports_requested_by FOREIGN KEY(requested_by) REFERENCES users (id),
    CONSTRAINT ck_exports_exportstate CHECK (state IN ('REQUESTED', 'PREPARING', 'LOADING', 'STORING', 'SUCCEEDED', 'SUCCEEDED_WITH_GAPS', 'FAILED', 'CANCELLED'))
);
CREATE INDEX ix_exports_provider_id ON exports (provider_id, id);
CREATE UNIQUE INDEX uq_exports_open ON exports (provider_id, group_id) WHERE state IN ('REQUESTED', 'PREPARING', 'LOADING', 'STORING');

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
    edited_details JSONB DEFAULT '{}' NOT NULL,
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

CREATE TABLE subscriptions (
    provider_id UUID NOT NULL,
    resource_type TEXT NOT NULL,
    status VARCHAR(40) DEFAULT 'REQUESTED' NOT NULL,
    secret BYTEA NOT NULL,
    remote_id TEXT,
    generation INTEGER DEFAULT '1' NOT NULL,
    last_event BIGINT,
    settled_event BIGINT,
    counted_at TIMESTAMP WITH TIME ZONE,
    gaps INTEGER DEFAULT '0' NOT NULL,
    ignored INTEGER DEFAULT '0' NOT NULL,
    last_heard_at TIMESTAMP WITH TIME ZONE,
    checked_at TIMESTAMP WITH TIME ZONE,
    spread_at TIMESTAMP WITH TIME ZONE,
    error_code TEXT,
    error_detail TEXT,
    id UUID DEFAULT uuidv7() NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_subscriptions PRIMARY KEY (id),
    CONSTRAINT fk_subscriptions_provider_id FOREIGN KEY(provider_id) REFERENCES providers (id),
    CONSTRAINT ck_subscriptions_subscriptionstatus CHECK (status IN ('REQUESTED', 'ACTIVE', 'ERROR', 'OFF'))
);
CREATE UNIQUE INDEX uq_subscriptions_resource_type ON subscriptions (provider_id, resource_type);

CREATE TABLE conflicts (
    patient_id UUID NOT NULL,
    provider_id UUID NOT NULL,
    provider_patient_id TEXT NOT NULL,
    field VARCHAR(40) NOT NULL,
    base TEXT,
    ours TEXT NOT NULL,
    theirs TEXT NOT NULL,
    provider_version TEXT,
    state VARCHAR(40) DEFAULT 'OPEN' NOT NULL,
    resolution VARCHAR(40),
    resolved_by UUID,
    resolved_at TIMESTAMP WITH TIME ZONE,
    id UUID DEFAULT uuidv7() NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_conflicts PRIMARY KEY (id),
    CONSTRAINT fk_conflicts_patient_id FOREIGN KEY(patient_id) REFERENCES patients (id),
    CONSTRAINT fk_conflicts_provider_id FOREIGN KEY(provider_id) REFERENCES providers (id),
    CONSTRAINT ck_conflicts_patientfield CHECK (field IN ('NAME', 'BIRTH_DATE', 'EMAIL', 'PHONE', 'ADDRESS')),
    CONSTRAINT ck_conflicts_conflictstate CHECK (state IN ('OPEN', 'RESOLVED')),
    CONSTRAINT ck_conflicts_resolution CHECK (resolution IN ('OURS', 'THEIRS')),
    CONSTRAINT fk_conflicts_resolved_by FOREIGN KEY(resolved_by) REFERENCES users (id)
);
CREATE INDEX ix_conflicts_patient_id ON conflicts (patient_id, id);
CREATE UNIQUE INDEX uq_conflicts_open_field ON conflicts (patient_id, provider_id, provider_patient_id, field) WHERE state = 'OPEN';

CREATE TABLE export_files (
    export_id UUID NOT NULL,
    number INTEGER NOT NULL,
    part VARCHAR(40) NOT NULL,
    url TEXT NOT NULL,
    expected INTEGER,
    lines INTEGER DEFAULT '0' NOT NULL,
    seen INTEGER DEFAULT '0' NOT NULL,
    done BOOLEAN DEFAULT 'false' NOT NULL,
    error_code TEXT,
    id UUID DEFAULT uuidv7() NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_export_files PRIMARY KEY (id),
    CONSTRAINT fk_export_files_export_id FOREIGN KEY(export_id) REFERENCES exports (id),
    CONSTRAINT ck_export_files_exportpart CHECK (part IN ('OUTPUT', 'DELETED', 'ERRORS'))
);
CREATE UNIQUE INDEX uq_export_files_number ON export_files (export_id, number);

CREATE TABLE export_resources (
    export_id UUID NOT NULL,
    subject TEXT NOT NULL,
    resource_type TEXT NOT NULL,
    reference TEXT NOT NULL,
    data BYTEA,
    id UUID DEFAULT uuidv7() NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_export_resources PRIMARY KEY (id),
    CONSTRAINT fk_export_resources_export_id FOREIGN KEY(export_id) REFERENCES exports (id)
);
CREATE INDEX ix_export_resources_subject ON export_resources (export_id, subject, resource_type, id);
CREATE UNIQUE INDEX uq_export_resources_reference ON export_resources (export_id, reference);

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

CREATE TABLE notifications (
    user_id UUID NOT NULL,
    patient_id UUID,
    kind VARCHAR(40) NOT NULL,
    title TEXT NOT NULL,
    body TEXT NOT NULL,
    code TEXT,
    hint TEXT NOT NULL,
    subject_type VARCHAR(40) NOT NULL,
    subject_id UUID NOT NULL,
    fold TEXT,
    times INTEGER DEFAULT '1' NOT NULL,
    read_at TIMESTAMP WITH TIME ZONE,
    settled_at TIMESTAMP WITH TIME ZONE,
    id UUID DEFAULT uuidv7() NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_notifications PRIMARY KEY (id),
    CONSTRAINT fk_notifications_user_id FOREIGN KEY(user_id) REFERENCES users (id),
    CONSTRAINT fk_notifications_patient_id FOREIGN KEY(patient_id) REFERENCES patients (id),
    CONSTRAINT ck_notifications_notificationkind CHECK (kind IN ('SYNC_FAILED', 'SYNC_INCOMPLETE', 'DETAILS_SENT', 'DETAILS_FAILED', 'DETAILS_CONFLICT', 'CONNECTION_LOST')),
    CONSTRAINT ck_notifications_subjecttype CHECK (subject_type IN ('RUN', 'CONFLICT', 'PATIENT', 'PROVIDER'))
);
CREATE INDEX ix_notifications_fold ON notifications (fold) WHERE fold IS NOT NULL AND settled_at IS NULL;
CREATE INDEX ix_notifications_unread ON notifications (user_id, id) WHERE read_at IS NULL AND deleted_at IS NULL;
CREATE INDEX ix_notifications_user_id ON notifications (user_id, id);
CREATE UNIQUE INDEX uq_notifications_fold ON notifications (user_id, fold) WHERE fold IS NOT NULL AND settled_at IS NULL;

CREATE TABLE patient_updates (
    patient_id UUID NOT NULL,
    changed_at TIMESTAMP WITH TIME ZONE,
    removed_at TIMESTAMP WITH TIME ZONE,
    suspect_at TIMESTAMP WITH TIME ZONE,
    attempted_at TIMESTAMP WITH TIME ZONE,
    id UUID DEFAULT uuidv7() NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_patient_updates PRIMARY KEY (id),
    CONSTRAINT uq_patient_updates_patient_id UNIQUE (patient_id),
    CONSTRAINT fk_patient_updates_patient_id FOREIGN KEY(patient_id) REFERENCES patients (id)
);
CREATE INDEX ix_patient_updates_changed_at ON patient_updates (changed_at) WHERE changed_at IS NOT NULL;
CREATE INDEX ix_patient_updates_removed_at ON patient_updates (removed_at) WHERE removed_at IS NOT NULL;
CREATE INDEX ix_patient_updates_suspect_at ON patient_updates (suspect_at) WHERE suspect_at IS NOT NULL;

CREATE TABLE platform_events (
    platform_id UUID NOT NULL,
    patient_id UUID,
    key TEXT NOT NULL,
    kind TEXT NOT NULL,
    attachment_id TEXT,
    handled_at TIMESTAMP WITH TIME ZONE,
    id UUID DEFAULT uuidv7() NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_platform_events PRIMARY KEY (id),
    CONSTRAINT fk_platform_events_platform_id FOREIGN KEY(platform_id) REFERENCES platforms (id),
    CONSTRAINT fk_platform_events_patient_id FOREIGN KEY(patient_id) REFERENCES patients (id)
);
CREATE INDEX ix_platform_events_open ON platform_events (platform_id, patient_id) WHERE handled_at IS NULL;
CREATE UNIQUE INDEX uq_platform_events_key ON platform_events (platform_id, key);

CREATE TABLE platform_introductions (
    platform_id UUID NOT NULL,
    patient_id UUID NOT NULL,
    work_id UUID,
    id UUID DEFAULT uuidv7() NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_platform_introductions PRIMARY KEY (id),
    CONSTRAINT fk_platform_introductions_platform_id FOREIGN KEY(platform_id) REFERENCES platforms (id),
    CONSTRAINT fk_platform_introductions_patient_id FOREIGN KEY(patient_id) REFERENCES patients (id)
);
CREATE UNIQUE INDEX uq_platform_introductions_patient ON platform_introductions (patient_id, platform_id);

CREATE TABLE provider_details (
    patient_id UUID NOT NULL,
    provider_id UUID NOT NULL,
    provider_patient_id TEXT NOT NULL,
    version_id TEXT,
    details JSONB,
    revision INTEGER DEFAULT '0' NOT NULL,
    insist BOOLEAN DEFAULT 'false' NOT NULL,
    compared_at TIMESTAMP WITH TIME ZONE,
    sent_at TIMESTAMP WITH TIME ZONE,
    error_code TEXT,
    error_detail TEXT,
    id UUID DEFAULT uuidv7() NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_provider_details PRIMARY KEY (id),
    CONSTRAINT fk_provider_details_patient_id FOREIGN KEY(patient_id) REFERENCES patients (id),
    CONSTRAINT fk_provider_details_provider_id FOREIGN KEY(provider_id) REFERENCES providers (id)
);
CREATE UNIQUE INDEX uq_provider_details_patient ON provider_details (patient_id, provider_id, provider_patient_id);

CREATE TABLE subscription_notifications (
    subscription_id UUID NOT NULL,
    key TEXT NOT NULL,
    generation INTEGER NOT NULL,
    event_number BIGINT,
    focus TEXT DEFAULT '' NOT NULL,
    subject TEXT DEFAULT '' NOT NULL,
    removed BOOLEAN DEFAULT 'false' NOT NULL,
    handled_at TIMESTAMP WITH TIME ZONE,
    id UUID DEFAULT uuidv7() NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_subscription_notifications PRIMARY KEY (id),
    CONSTRAINT fk_subscription_notifications_subscription_id FOREIGN KEY(subscription_id) REFERENCES subscriptions (id)
);
CREATE INDEX ix_subscription_notifications_created_at ON subscription_notifications (created_at);
CREATE INDEX ix_subscription_notifications_number ON subscription_notifications (subscription_id, generation, event_number);
CREATE INDEX ix_subscription_notifications_unhandled ON subscription_notifications (subscription_id) WHERE handled_at IS NULL;
CREATE UNIQUE INDEX uq_subscription_notifications_key ON subscription_notifications (subscription_id, key);

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
    export_id UUID,
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
    compared_at TIMESTAMP WITH TIME ZONE,
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
    CONSTRAINT ck_sync_runs_runmode CHECK (mode IN ('INCREMENTAL', 'FULL', 'RETRY')),
    CONSTRAINT ck_sync_runs_runtrigger CHECK (trigger IN ('MANUAL', 'AUTOMATIC')),
    CONSTRAINT ck_sync_runs_runstatus CHECK (status IN ('QUEUED', 'RUNNING', 'SUCCEEDED', 'SUCCEEDED_WITH_GAPS', 'FAILED', 'CANCELLED')),
    CONSTRAINT ck_sync_runs_runstage CHECK (stage IN ('CONNECTING', 'LISTING', 'FETCHING', 'STORING', 'PUBLISHING', 'DONE'))
);
CREATE INDEX ix_sync_runs_owner_id ON sync_runs (owner_id, id);
CREATE INDEX ix_sync_runs_patient_id ON sync_runs (patient_id, id);
CREATE UNIQUE INDEX uq_sync_runs_export ON sync_runs (export_id, patient_id) WHERE export_id IS NOT NULL;
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
    superseded BOOLEAN DEFAULT 'false' NOT NULL,
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
CREATE INDEX ix_document_sources_link_keys ON document_sources USING gin (link_keys);
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

CREATE TABLE sync_keys (
    requested_by UUID NOT NULL,
    key TEXT NOT NULL,
    run_id UUID NOT NULL,
    id UUID DEFAULT uuidv7() NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_sync_keys PRIMARY KEY (id),
    CONSTRAINT fk_sync_keys_requested_by FOREIGN KEY(requested_by) REFERENCES users (id),
    CONSTRAINT fk_sync_keys_run_id FOREIGN KEY(run_id) REFERENCES sync_runs (id)
);
CREATE UNIQUE INDEX uq_sync_keys_key ON sync_keys (requested_by, key);

CREATE TABLE sync_pages (
    run_id UUID NOT NULL,
    resource_type TEXT NOT NULL,
    number INTEGER NOT NULL,
    next_link TEXT,
    expected INTEGER,
    seen INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    filtered BOOLEAN NOT NULL,
    listed TEXT[] DEFAULT '{}' NOT NULL,
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
    work_id UUID,
    id UUID DEFAULT uuidv7() NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_platform_receipts PRIMARY KEY (id),
    CONSTRAINT fk_platform_receipts_platform_id FOREIGN KEY(platform_id) REFERENCES platforms (id),
    CONSTRAINT fk_platform_receipts_patient_id FOREIGN KEY(patient_id) REFERENCES patients (id),
    CONSTRAINT fk_platform_receipts_document_id FOREIGN KEY(document_id) REFERENCES healthcare_documents (id),
    CONSTRAINT fk_platform_receipts_file_id FOREIGN KEY(file_id) REFERENCES files (id),
    CONSTRAINT ck_platform_receipts_receiptstate CHECK (state IN ('PENDING', 'SENDING', 'PROCESSING', 'CONFIRMED', 'FAILED', 'ARCHIVING', 'ARCHIVED', 'REMOVED'))
);
CREATE INDEX ix_platform_receipts_attachment ON platform_receipts (platform_id, attachment_id);
CREATE INDEX ix_platform_receipts_patient ON platform_receipts (patient_id, state);
CREATE UNIQUE INDEX uq_platform_receipts_reference ON platform_receipts (platform_id, reference);
