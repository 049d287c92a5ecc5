"""Edits on their way back to the provider, and their conflicts."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: str | None = None
depends_on: str | None = None

TOUCHED = ("conflicts", "provider_details")


def _enum(name: str, *values: str) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=40)


def _record() -> list[sa.Column[object]]:
    return [
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
    ]


def upgrade() -> None:
    op.add_column("patients", sa.Column("edited_details", JSONB(), server_default="{}", nullable=False))
    op.create_table(
        "provider_details",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("provider_id", sa.Uuid(), nullable=False),
        sa.Column("provider_patient_id", sa.Text(), nullable=False),
        sa.Column("version_id", sa.Text(), nullable=True),
        sa.Column("details", JSONB(), nullable=True),
        sa.Column("revision", sa.Integer(), server_default="0", nullable=False),
        sa.Column("insist", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("compared_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_detail", sa.Text(), nullable=True),
        *_record(),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("fk_provider_details_patient_id")),
        sa.ForeignKeyConstraint(["provider_id"], ["providers.id"], name=op.f("fk_provider_details_provider_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider_details")),
    )
    op.create_index(
        "uq_provider_details_patient",
        "provider_details",
        ["patient_id", "provider_id", "provider_patient_id"],
        unique=True,
    )
    op.create_table(
        "conflicts",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("provider_id", sa.Uuid(), nullable=False),
        sa.Column("provider_patient_id", sa.Text(), nullable=False),
        sa.Column("field", _enum("patientfield", "NAME", "BIRTH_DATE", "EMAIL", "PHONE", "ADDRESS"), nullable=False),
        sa.Column("base", sa.Text(), nullable=True),
        sa.Column("ours", sa.Text(), nullable=False),
        sa.Column("theirs", sa.Text(), nullable=False),
        sa.Column("provider_version", sa.Text(), nullable=True),
        sa.Column("state", _enum("conflictstate", "OPEN", "RESOLVED"), server_default="OPEN", nullable=False),
        sa.Column("resolution", _enum("resolution", "OURS", "THEIRS"), nullable=True),
        sa.Column("resolved_by", sa.Uuid(), nullable=True),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        *_record(),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("fk_conflicts_patient_id")),
        sa.ForeignKeyConstraint(["provider_id"], ["providers.id"], name=op.f("fk_conflicts_provider_id")),
        sa.ForeignKeyConstraint(["resolved_by"], ["users.id"], name=op.f("fk_conflicts_resolved_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conflicts")),
    )
    op.create_index("ix_conflicts_patient_id", "conflicts", ["patient_id", "id"], unique=False)
    op.create_index(
        "uq_conflicts_open_field",
        "conflicts",
        ["patient_id", "provider_id", "provider_patient_id", "field"],
        unique=True,
        postgresql_where=sa.text("state = 'OPEN'"),
    )
    for table in TOUCHED:
        op.execute(
            f"CREATE TRIGGER touch_updated_at BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION touch_updated_at()"
        )


def downgrade() -> None:
    op.drop_table("conflicts")
    op.drop_table("provider_details")
    op.drop_column("patients", "edited_details")
