"""Schedules, subscriptions and the notifications that providers send."""

import sqlalchemy as sa
from alembic import op

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: str | None = None
depends_on: str | None = None

STATUSES = ("REQUESTED", "ACTIVE", "ERROR", "OFF")
MARKS = ("changed_at", "removed_at", "suspect_at")
TOUCHED = ("patient_updates", "subscription_notifications", "subscriptions")


def record() -> list[sa.Column[object]]:
    now = sa.text("now()")
    return [
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=now, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=now, nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
    ]


def upgrade() -> None:
    op.create_table(
        "subscriptions",
        sa.Column("provider_id", sa.Uuid(), nullable=False),
        sa.Column("resource_type", sa.Text(), nullable=False),
        sa.Column(
            "status",
            sa.Enum(*STATUSES, name="subscriptionstatus", native_enum=False, create_constraint=True, length=40),
            server_default="REQUESTED",
            nullable=False,
        ),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("remote_id", sa.Text(), nullable=True),
        sa.Column("generation", sa.Integer(), server_default="1", nullable=False),
        sa.Column("last_event", sa.BigInteger(), nullable=True),
        sa.Column("settled_event", sa.BigInteger(), nullable=True),
        sa.Column("counted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("gaps", sa.Integer(), server_default="0", nullable=False),
        sa.Column("ignored", sa.Integer(), server_default="0", nullable=False),
        sa.Column("last_heard_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("spread_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_detail", sa.Text(), nullable=True),
        *record(),
        sa.ForeignKeyConstraint(["provider_id"], ["providers.id"], name=op.f("fk_subscriptions_provider_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscriptions")),
    )
    op.create_index("uq_subscriptions_resource_type", "subscriptions", ["provider_id", "resource_type"], unique=True)
    _create_notifications()
    op.create_table(
        "patient_updates",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        *(sa.Column(mark, sa.DateTime(timezone=True), nullable=True) for mark in MARKS),
        sa.Column("attempted_at", sa.DateTime(timezone=True), nullable=True),
        *record(),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("fk_patient_updates_patient_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_patient_updates")),
        sa.UniqueConstraint("patient_id", name=op.f("uq_patient_updates_patient_id")),
    )
    for mark in MARKS:
        op.create_index(
            f"ix_patient_updates_{mark}", "patient_updates", [mark], postgresql_where=sa.text(f"{mark} IS NOT NULL")
        )
    for table in TOUCHED:
        op.execute(
            f"CREATE TRIGGER touch_updated_at BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION touch_updated_at()"
        )


def _create_notifications() -> None:
    name = "subscription_notifications"
    op.create_table(
        name,
        sa.Column("subscription_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("event_number", sa.BigInteger(), nullable=True),
        sa.Column("focus", sa.Text(), server_default="", nullable=False),
        sa.Column("subject", sa.Text(), server_default="", nullable=False),
        sa.Column("removed", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("handled_at", sa.DateTime(timezone=True), nullable=True),
        *record(),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscriptions.id"], name=op.f("fk_subscription_notifications_subscription_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscription_notifications")),
    )
    op.create_index("uq_subscription_notifications_key", name, ["subscription_id", "key"], unique=True)
    op.create_index(
        "ix_subscription_notifications_number", name, ["subscription_id", "generation", "event_number"], unique=False
    )
    op.create_index(
        "ix_subscription_notifications_unhandled",
        name,
        ["subscription_id"],
        postgresql_where=sa.text("handled_at IS NULL"),
    )
    op.create_index("ix_subscription_notifications_created_at", name, ["created_at"], unique=False)


def downgrade() -> None:
    op.drop_table("patient_updates")
    op.drop_table("subscription_notifications")
    op.drop_table("subscriptions")
