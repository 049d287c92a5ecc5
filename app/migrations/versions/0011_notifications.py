"""What a person is told."""

import sqlalchemy as sa
from alembic import op

revision: str = "0011"
down_revision: str | None = "0010"
branch_labels: str | None = None
depends_on: str | None = None

KINDS = ("SYNC_FAILED", "SYNC_INCOMPLETE", "DETAILS_SENT", "DETAILS_FAILED", "DETAILS_CONFLICT", "CONNECTION_LOST")
SUBJECTS = ("RUN", "CONFLICT", "PATIENT", "PROVIDER")


def _enum(name: str, *values: str) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=40)


def upgrade() -> None:
    op.create_table(
        "notifications",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=True),
        sa.Column("kind", _enum("notificationkind", *KINDS), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("hint", sa.Text(), nullable=False),
        sa.Column("subject_type", _enum("subjecttype", *SUBJECTS), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("fold", sa.Text(), nullable=True),
        sa.Column("times", sa.Integer(), server_default="1", nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_notifications_user_id")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("fk_notifications_patient_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notifications")),
    )
    op.create_index("ix_notifications_user_id", "notifications", ["user_id", "id"], unique=False)
    op.create_index(
        "ix_notifications_unread",
        "notifications",
        ["user_id", "id"],
        unique=False,
        postgresql_where=sa.text("read_at IS NULL AND deleted_at IS NULL"),
    )
    unsettled = sa.text("fold IS NOT NULL AND settled_at IS NULL")
    op.create_index(
        "uq_notifications_fold", "notifications", ["user_id", "fold"], unique=True, postgresql_where=unsettled
    )
    op.create_index("ix_notifications_fold", "notifications", ["fold"], unique=False, postgresql_where=unsettled)
    op.execute(
        "CREATE TRIGGER touch_updated_at BEFORE UPDATE ON notifications FOR EACH ROW EXECUTE FUNCTION touch_updated_at()"
    )


def downgrade() -> None:
    op.drop_table("notifications")
