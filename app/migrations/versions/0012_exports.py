"""Bulk exports of a whole group."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0012"
down_revision: str | None = "0011"
branch_labels: str | None = None
depends_on: str | None = None

STATES = (
    "REQUESTED",
    "PREPARING",
    "LOADING",
    "STORING",
    "SUCCEEDED",
    "SUCCEEDED_WITH_GAPS",
    "FAILED",
    "CANCELLED",
)
PARTS = ("OUTPUT", "DELETED", "ERRORS")
COUNTERS = ("percent", "files", "files_done", "resources", "deletions", "unknown", "gaps")
PATIENTS = ("patients", "patients_done", "patients_failed")
TOUCHED = ("export_files", "export_resources", "exports")


def record() -> list[sa.Column[object]]:
    now = sa.text("now()")
    return [
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=now, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=now, nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
    ]


def words(*values: str, name: str) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=40)


def moment(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=True)


def counter(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.Integer(), server_default="0", nullable=False)


def upgrade() -> None:
    op.create_table(
        "exports",
        sa.Column("provider_id", sa.Uuid(), nullable=False),
        sa.Column("group_id", sa.Text(), nullable=False),
        sa.Column("requested_by", sa.Uuid(), nullable=False),
        sa.Column("state", words(*STATES, name="exportstate"), server_default="REQUESTED", nullable=False),
        moment("since"),
        sa.Column("address", sa.Text(), nullable=True),
        moment("transaction_time"),
        sa.Column("token", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("progress", sa.Text(), server_default="", nullable=False),
        *(counter(name) for name in COUNTERS),
        sa.Column("bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("problems", postgresql.JSONB(), server_default="[]", nullable=False),
        *(counter(name) for name in PATIENTS),
        moment("started_at"),
        moment("finished_at"),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_detail", sa.Text(), nullable=True),
        *record(),
        sa.ForeignKeyConstraint(["provider_id"], ["providers.id"], name=op.f("fk_exports_provider_id")),
        sa.ForeignKeyConstraint(["requested_by"], ["users.id"], name=op.f("fk_exports_requested_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exports")),
    )
    op.create_index(
        "uq_exports_open",
        "exports",
        ["provider_id", "group_id"],
        unique=True,
        postgresql_where=sa.text("state IN ('REQUESTED', 'PREPARING', 'LOADING', 'STORING')"),
    )
    op.create_index("ix_exports_provider_id", "exports", ["provider_id", "id"], unique=False)
    _create_files()
    _create_resources()
    op.add_column("sync_runs", sa.Column("export_id", sa.Uuid(), nullable=True))
    op.create_index(
        "uq_sync_runs_export",
        "sync_runs",
        ["export_id", "patient_id"],
        unique=True,
        postgresql_where=sa.text("export_id IS NOT NULL"),
    )
    for table in TOUCHED:
        op.execute(
            f"CREATE TRIGGER touch_updated_at BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION touch_updated_at()"
        )


def _create_files() -> None:
    op.create_table(
        "export_files",
        sa.Column("export_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("part", words(*PARTS, name="exportpart"), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("expected", sa.Integer(), nullable=True),
        counter("lines"),
        counter("seen"),
        sa.Column("done", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("error_code", sa.Text(), nullable=True),
        *record(),
        sa.ForeignKeyConstraint(["export_id"], ["exports.id"], name=op.f("fk_export_files_export_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_export_files")),
    )
    op.create_index("uq_export_files_number", "export_files", ["export_id", "number"], unique=True)


def _create_resources() -> None:
    name = "export_resources"
    op.create_table(
        name,
        sa.Column("export_id", sa.Uuid(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("resource_type", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=True),
        *record(),
        sa.ForeignKeyConstraint(["export_id"], ["exports.id"], name=op.f("fk_export_resources_export_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_export_resources")),
    )
    op.create_index("uq_export_resources_reference", name, ["export_id", "reference"], unique=True)
    op.create_index("ix_export_resources_subject", name, ["export_id", "subject", "resource_type", "id"], unique=False)


def downgrade() -> None:
    op.drop_index("uq_sync_runs_export", table_name="sync_runs")
    op.drop_column("sync_runs", "export_id")
    op.drop_table("export_resources")
    op.drop_table("export_files")
    op.drop_table("exports")
