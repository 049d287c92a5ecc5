"""What administrators set on a provider, and what it was found to do."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | None = None
depends_on: str | None = None

CHECKS = {
    "sync_every_minutes": "sync_every_minutes >= 1",
    "sweep_every_days": "sweep_every_days >= 1",
    "requests_per_second": "requests_per_second > 0",
    "former_key": (
        "(former_credentials IS NULL) = (key_changes_at IS NULL)"
        " AND (former_credentials IS NULL) = (former_key_until IS NULL)"
    ),
}


def upgrade() -> None:
    for column in (
        sa.Column("strategy", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("sync_every_minutes", sa.Integer(), nullable=True),
        sa.Column("sweep_every_days", sa.Integer(), server_default="7", nullable=False),
        sa.Column("requests_per_second", sa.Float(), nullable=True),
        sa.Column("revision", sa.Integer(), server_default="1", nullable=False),
        sa.Column("former_credentials", sa.LargeBinary(), nullable=True),
        sa.Column("key_changes_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("former_key_until", sa.DateTime(timezone=True), nullable=True),
    ):
        op.add_column("providers", column)
    for name, condition in CHECKS.items():
        op.create_check_constraint(op.f(f"ck_providers_{name}"), "providers", condition)
    # From now on each probe asks for the next one: providers that are there already get their first.
    op.execute(
        "INSERT INTO work (kind, subject_id) SELECT 'connections.probe', id FROM providers WHERE deleted_at IS NULL"
        " ON CONFLICT (kind, subject_id) WHERE done_at IS NULL AND dead_at IS NULL DO NOTHING"
    )


def downgrade() -> None:
    for name in CHECKS:
        op.drop_constraint(op.f(f"ck_providers_{name}"), "providers")
    for column in (
        "former_key_until",
        "key_changes_at",
        "former_credentials",
        "revision",
        "requests_per_second",
        "sweep_every_days",
        "sync_every_minutes",
        "strategy",
    ):
        op.drop_column("providers", column)
