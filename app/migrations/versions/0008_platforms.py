"""Archived receipts, platform webhooks."""

import sqlalchemy as sa
from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | None = None
depends_on: str | None = None

STATE = "ck_platform_receipts_receiptstate"
KIND = "ck_platforms_platformkind"


def upgrade() -> None:
    op.drop_constraint(KIND, "platforms")
    op.create_check_constraint(op.f(KIND), "platforms", "kind IN ('NONE', 'CAREPATRON', 'HEALTHIE')")
    op.add_column("platforms", sa.Column("webhook_secret", sa.LargeBinary(), nullable=True))
    op.add_column("platforms", sa.Column("webhook_checked_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("platforms", sa.Column("webhook_problem", sa.Text(), nullable=True))
    op.drop_constraint(STATE, "platform_receipts")
    op.create_check_constraint(
        op.f(STATE),
        "platform_receipts",
        "state IN ('PENDING', 'SENDING', 'PROCESSING', 'CONFIRMED', 'FAILED', 'ARCHIVING', 'ARCHIVED', 'REMOVED')",
    )
    op.add_column("platform_receipts", sa.Column("work_id", sa.Uuid(), nullable=True))
    op.create_index(
        "ix_platform_receipts_attachment", "platform_receipts", ["platform_id", "attachment_id"], unique=False
    )
    op.create_table(
        "platform_introductions",
        sa.Column("platform_id", sa.Uuid(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("work_id", sa.Uuid(), nullable=True),
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("fk_platform_introductions_patient_id")),
        sa.ForeignKeyConstraint(["platform_id"], ["platforms.id"], name=op.f("fk_platform_introductions_platform_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_platform_introductions")),
    )
    op.create_index(
        "uq_platform_introductions_patient", "platform_introductions", ["patient_id", "platform_id"], unique=True
    )
    op.create_table(
        "platform_events",
        sa.Column("platform_id", sa.Uuid(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=True),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("attachment_id", sa.Text(), nullable=True),
        sa.Column("handled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("fk_platform_events_patient_id")),
        sa.ForeignKeyConstraint(["platform_id"], ["platforms.id"], name=op.f("fk_platform_events_platform_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_platform_events")),
    )
    op.create_index("uq_platform_events_key", "platform_events", ["platform_id", "key"], unique=True)
    op.create_index(
        "ix_platform_events_open",
        "platform_events",
        ["platform_id", "patient_id"],
        unique=False,
        postgresql_where=sa.text("handled_at IS NULL"),
    )
    for table in ("platform_events", "platform_introductions"):
        op.execute(
            f"CREATE TRIGGER touch_updated_at BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION touch_updated_at()"
        )


def downgrade() -> None:
    op.drop_table("platform_events")
    op.drop_table("platform_introductions")
    op.drop_index("ix_platform_receipts_attachment", table_name="platform_receipts")
    op.drop_column("platform_receipts", "work_id")
    # What has left the platform, or is on its way out, was sent once: the older engine would look for it again.
    op.execute("UPDATE platform_receipts SET state = 'FAILED' WHERE state IN ('ARCHIVING', 'ARCHIVED', 'REMOVED')")
    op.drop_constraint(STATE, "platform_receipts")
    op.create_check_constraint(
        op.f(STATE), "platform_receipts", "state IN ('PENDING', 'SENDING', 'PROCESSING', 'CONFIRMED', 'FAILED')"
    )
    op.drop_column("platforms", "webhook_problem")
    op.drop_column("platforms", "webhook_checked_at")
    op.drop_column("platforms", "webhook_secret")
    op.execute("UPDATE platforms SET kind = 'NONE' WHERE kind = 'HEALTHIE'")
    op.drop_constraint(KIND, "platforms")
    op.create_check_constraint(op.f(KIND), "platforms", "kind IN ('NONE', 'CAREPATRON')")
