"""What all workers share of a connection: its pace and its breaker. What a job has waited for, and what became of a dead
letter."""

import sqlalchemy as sa
from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    op.create_table(
        "gates",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("tokens", sa.Float(), nullable=False),
        sa.Column("granted", sa.Float(), server_default="0", nullable=False),
        sa.Column("refilled_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("pace", sa.Float(), server_default="1", nullable=False),
        sa.Column("slowed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("pauses", sa.Integer(), server_default="0", nullable=False),
        sa.Column("paused_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("throttled", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("probe_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_gates")),
    )
    op.add_column("work", sa.Column("silent", sa.Integer(), server_default="0", nullable=False))
    op.add_column("work", sa.Column("waiting_since", sa.DateTime(timezone=True), nullable=True))
    op.add_column("work", sa.Column("replayed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("work", sa.Column("replayed_by", sa.Uuid(), nullable=True))
    op.create_index(
        "ix_work_dead",
        "work",
        ["dead_at", "id"],
        unique=False,
        postgresql_where=sa.text("dead_at IS NOT NULL AND replayed_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_work_dead", table_name="work")
    op.drop_column("work", "replayed_by")
    op.drop_column("work", "replayed_at")
    op.drop_column("work", "waiting_since")
    op.drop_column("work", "silent")
    op.drop_table("gates")
