"""Runs, pages, cursors, failures, the log, receipts."""

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | None = None
depends_on: str | None = None

TOUCHED = ("platform_receipts", "sync_cursors", "sync_failures", "sync_pages", "sync_runs", "synchronization_log")


def upgrade() -> None:
    op.create_table(
        "sync_cursors",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("provider_id", sa.Uuid(), nullable=False),
        sa.Column("provider_patient_id", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("fk_sync_cursors_patient_id")),
        sa.ForeignKeyConstraint(["provider_id"], ["providers.id"], name=op.f("fk_sync_cursors_provider_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sync_cursors")),
    )
    op.create_index("uq_sync_cursors_patient", "sync_cursors", ["patient_id", "provider_id"], unique=True)
    op.create_table(
        "sync_runs",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("provider_id", sa.Uuid(), nullable=False),
        sa.Column("provider_patient_id", sa.Text(), nullable=False),
        sa.Column("requested_by", sa.Uuid(), nullable=True),
        sa.Column("retry_of_id", sa.Uuid(), nullable=True),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        sa.Column(
            "mode",
            sa.Enum("INCREMENTAL", "FULL", name="runmode", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column(
            "trigger",
            sa.Enum("MANUAL", "AUTOMATIC", name="runtrigger", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column(
            "status",
            sa.Enum(
                "QUEUED",
                "RUNNING",
                "SUCCEEDED",
                "SUCCEEDED_WITH_GAPS",
                "FAILED",
                "CANCELLED",
                name="runstatus",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            server_default="QUEUED",
            nullable=False,
        ),
        sa.Column(
            "stage",
            sa.Enum(
                "CONNECTING",
                "LISTING",
                "FETCHING",
                "STORING",
                "PUBLISHING",
                "DONE",
                name="runstage",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            server_default="CONNECTING",
            nullable=False,
        ),
        sa.Column("percent", sa.Integer(), server_default="0", nullable=False),
        sa.Column("estimated", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("expected", sa.Integer(), server_default="0", nullable=False),
        sa.Column("discovered", sa.Integer(), server_default="0", nullable=False),
        sa.Column("fetched", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created", sa.Integer(), server_default="0", nullable=False),
        sa.Column("updated", sa.Integer(), server_default="0", nullable=False),
        sa.Column("unchanged", sa.Integer(), server_default="0", nullable=False),
        sa.Column("joined", sa.Integer(), server_default="0", nullable=False),
        sa.Column("skipped", sa.Integer(), server_default="0", nullable=False),
        sa.Column("withdrawn", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("published", sa.Integer(), server_default="0", nullable=False),
        sa.Column("bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("resumed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("server_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_detail", sa.Text(), nullable=True),
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_sync_runs_owner_id")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("fk_sync_runs_patient_id")),
        sa.ForeignKeyConstraint(["provider_id"], ["providers.id"], name=op.f("fk_sync_runs_provider_id")),
        sa.ForeignKeyConstraint(["requested_by"], ["users.id"], name=op.f("fk_sync_runs_requested_by")),
        sa.ForeignKeyConstraint(["retry_of_id"], ["sync_runs.id"], name=op.f("fk_sync_runs_retry_of_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sync_runs")),
    )
    op.create_index("ix_sync_runs_owner_id", "sync_runs", ["owner_id", "id"], unique=False)
    op.create_index("ix_sync_runs_patient_id", "sync_runs", ["patient_id", "id"], unique=False)
    op.create_index("uq_sync_runs_idempotency_key", "sync_runs", ["requested_by", "idempotency_key"], unique=True)
    op.create_index(
        "uq_sync_runs_open_patient",
        "sync_runs",
        ["patient_id"],
        unique=True,
        postgresql_where=sa.text("status IN ('QUEUED', 'RUNNING')"),
    )
    op.create_table(
        "sync_failures",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column(
            "severity",
            sa.Enum("FAILURE", "WARNING", name="severity", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["sync_runs.id"], name=op.f("fk_sync_failures_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sync_failures")),
    )
    op.create_index("ix_sync_failures_run_id", "sync_failures", ["run_id", "id"], unique=False)
    op.create_table(
        "sync_pages",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("resource_type", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("next_link", sa.Text(), nullable=True),
        sa.Column("expected", sa.Integer(), nullable=True),
        sa.Column("seen", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("filtered", sa.Boolean(), nullable=False),
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["sync_runs.id"], name=op.f("fk_sync_pages_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sync_pages")),
    )
    op.create_index("uq_sync_pages_number", "sync_pages", ["run_id", "resource_type", "number"], unique=True)
    op.create_table(
        "synchronization_log",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("document_id", sa.Uuid(), nullable=True),
        sa.Column("run_id", sa.Uuid(), nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("timestamp", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "STARTED",
                "SUCCESS",
                "WARNING",
                "ERROR",
                name="logstatus",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("details", sa.Text(), server_default="", nullable=False),
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["document_id"], ["healthcare_documents.id"], name=op.f("fk_synchronization_log_document_id")
        ),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_synchronization_log_owner_id")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("fk_synchronization_log_patient_id")),
        sa.ForeignKeyConstraint(["run_id"], ["sync_runs.id"], name=op.f("fk_synchronization_log_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_synchronization_log")),
    )
    op.create_index(
        "ix_synchronization_log_document", "synchronization_log", ["document_id", "timestamp"], unique=False
    )
    op.create_index(
        "ix_synchronization_log_owner", "synchronization_log", ["owner_id", "timestamp", "id"], unique=False
    )
    op.create_index(
        "ix_synchronization_log_patient", "synchronization_log", ["patient_id", "timestamp", "id"], unique=False
    )
    op.create_index("ix_synchronization_log_run", "synchronization_log", ["run_id", "timestamp"], unique=False)
    op.create_table(
        "platform_receipts",
        sa.Column("platform_id", sa.Uuid(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("document_id", sa.Uuid(), nullable=False),
        sa.Column("file_id", sa.Uuid(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("attachment_id", sa.Text(), nullable=True),
        sa.Column(
            "state",
            sa.Enum(
                "PENDING",
                "SENDING",
                "PROCESSING",
                "CONFIRMED",
                "FAILED",
                name="receiptstate",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            server_default="PENDING",
            nullable=False,
        ),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["document_id"], ["healthcare_documents.id"], name=op.f("fk_platform_receipts_document_id")
        ),
        sa.ForeignKeyConstraint(["file_id"], ["files.id"], name=op.f("fk_platform_receipts_file_id")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("fk_platform_receipts_patient_id")),
        sa.ForeignKeyConstraint(["platform_id"], ["platforms.id"], name=op.f("fk_platform_receipts_platform_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_platform_receipts")),
    )
    op.create_index("ix_platform_receipts_patient", "platform_receipts", ["patient_id", "state"], unique=False)
    op.create_index("uq_platform_receipts_reference", "platform_receipts", ["platform_id", "reference"], unique=True)
    for table in TOUCHED:
        op.execute(
            f"CREATE TRIGGER touch_updated_at BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION touch_updated_at()"
        )


def downgrade() -> None:
    op.drop_table("platform_receipts")
    op.drop_table("synchronization_log")
    op.drop_table("sync_pages")
    op.drop_table("sync_failures")
    op.drop_table("sync_runs")
    op.drop_table("sync_cursors")
