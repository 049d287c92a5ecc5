"""Documents, their versions, texts, files and sources."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | None = None
depends_on: str | None = None

TOUCHED = ("document_sources", "document_versions", "files", "healthcare_documents")


def upgrade() -> None:
    op.create_table(
        "healthcare_documents",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column(
            "type",
            sa.Enum(
                "LAB_REPORT",
                "PROGRESS_NOTE",
                "PHYSICAL_ASSESSMENT",
                "NUTRITION_NOTE",
                "REFERRAL_LETTER",
                "DISCHARGE_SUMMARY",
                "CONSULTATION_NOTE",
                "EMERGENCY_NOTE",
                "PROCEDURE_NOTE",
                "PATHOLOGY_REPORT",
                "IMAGING_REPORT",
                "CARE_SUMMARY",
                "LETTER",
                "OTHER",
                name="documenttype",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("date", sa.DateTime(timezone=True), nullable=True),
        sa.Column("author", sa.Text(), server_default="", nullable=False),
        sa.Column("content", sa.Text(), nullable=True),
        sa.Column(
            "source",
            sa.Enum("PROVIDER", "USER", name="sourcekind", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column("source_name", sa.Text(), nullable=False),
        sa.Column("provider_id", sa.Uuid(), nullable=True),
        sa.Column("uploaded_by", sa.Uuid(), nullable=True),
        sa.Column(
            "status",
            sa.Enum(
                "CURRENT",
                "SUPERSEDED",
                "WITHDRAWN",
                "RETRACTED",
                name="documentstatus",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("content_hash", sa.LargeBinary(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("significant_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tsv", postgresql.TSVECTOR(), server_default=sa.text("''::tsvector"), nullable=False),
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_healthcare_documents_owner_id")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("fk_healthcare_documents_patient_id")),
        sa.ForeignKeyConstraint(["provider_id"], ["providers.id"], name=op.f("fk_healthcare_documents_provider_id")),
        sa.ForeignKeyConstraint(["uploaded_by"], ["users.id"], name=op.f("fk_healthcare_documents_uploaded_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_healthcare_documents")),
    )
    op.create_index(
        "ix_healthcare_documents_owner_date",
        "healthcare_documents",
        ["owner_id", sa.literal_column("coalesce(date, '-infinity'::timestamptz)"), "id"],
        unique=False,
    )
    op.create_index(
        "ix_healthcare_documents_patient_date",
        "healthcare_documents",
        ["patient_id", sa.literal_column("coalesce(date, '-infinity'::timestamptz)"), "id"],
        unique=False,
    )
    op.create_index(
        "ix_healthcare_documents_search",
        "healthcare_documents",
        ["owner_id", "tsv"],
        unique=False,
        postgresql_using="gin",
    )
    op.create_table(
        "document_sources",
        sa.Column("document_id", sa.Uuid(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("provider_id", sa.Uuid(), nullable=False),
        sa.Column("resource_type", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("version_id", sa.Text(), nullable=False),
        sa.Column("last_updated", sa.DateTime(timezone=True), nullable=True),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("content_hash", sa.LargeBinary(), nullable=False),
        sa.Column("link_keys", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("incomplete", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("leading", sa.Boolean(), nullable=False),
        sa.Column("replaces", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("seen_run_id", sa.Uuid(), nullable=True),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["document_id"], ["healthcare_documents.id"], name=op.f("fk_document_sources_document_id")
        ),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("fk_document_sources_patient_id")),
        sa.ForeignKeyConstraint(["provider_id"], ["providers.id"], name=op.f("fk_document_sources_provider_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_document_sources")),
    )
    op.create_index("ix_document_sources_document_id", "document_sources", ["document_id"], unique=False)
    op.create_index(
        "ix_document_sources_replacing",
        "document_sources",
        ["patient_id", "provider_id"],
        unique=False,
        postgresql_where=sa.text("cardinality(replaces) > 0"),
    )
    op.create_index(
        "uq_document_sources_reference", "document_sources", ["patient_id", "provider_id", "reference"], unique=True
    )
    op.create_table(
        "document_texts",
        sa.Column("document_id", sa.Uuid(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["document_id"], ["healthcare_documents.id"], name=op.f("fk_document_texts_document_id")
        ),
        sa.PrimaryKeyConstraint("document_id", name=op.f("pk_document_texts")),
    )
    op.create_table(
        "document_versions",
        sa.Column("document_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("content_hash", sa.LargeBinary(), nullable=False),
        sa.Column("changes", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False),
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["document_id"], ["healthcare_documents.id"], name=op.f("fk_document_versions_document_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_document_versions")),
    )
    op.create_index("uq_document_versions_number", "document_versions", ["document_id", "number"], unique=True)
    op.create_table(
        "files",
        sa.Column("document_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("filename", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=True),
        sa.Column("sha256", sa.Text(), nullable=True),
        sa.Column(
            "integrity",
            sa.Enum(
                "VERIFIED",
                "UNDECLARED",
                "MISMATCHED",
                "MISSING",
                name="integrity",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("missing", sa.Text(), nullable=True),
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["document_id"], ["healthcare_documents.id"], name=op.f("fk_files_document_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_files")),
    )
    op.create_index("uq_files_position", "files", ["document_id", "version", "position"], unique=True)
    for table in TOUCHED:
        op.execute(
            f"CREATE TRIGGER touch_updated_at BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION touch_updated_at()"
        )


def downgrade() -> None:
    op.drop_table("files")
    op.drop_table("document_versions")
    op.drop_table("document_texts")
    op.drop_table("document_sources")
    op.drop_table("healthcare_documents")
