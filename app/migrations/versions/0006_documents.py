"""What a page showed stands on the page; attachments are found by their keys; every idempotency key is kept."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | None = None
depends_on: str | None = None

MODE = "ck_sync_runs_runmode"


def upgrade() -> None:
    op.drop_column("document_sources", "seen_run_id")
    op.add_column("document_sources", sa.Column("superseded", sa.Boolean(), server_default="false", nullable=False))
    op.create_index("ix_document_sources_link_keys", "document_sources", ["link_keys"], postgresql_using="gin")
    listed = sa.Column("listed", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False)
    op.add_column("sync_pages", listed)
    op.add_column("sync_runs", sa.Column("compared_at", sa.DateTime(timezone=True), nullable=True))
    op.drop_constraint(MODE, "sync_runs")
    op.create_check_constraint(op.f(MODE), "sync_runs", "mode IN ('INCREMENTAL', 'FULL', 'RETRY')")
    op.create_table(
        "sync_keys",
        sa.Column("requested_by", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["requested_by"], ["users.id"], name=op.f("fk_sync_keys_requested_by")),
        sa.ForeignKeyConstraint(["run_id"], ["sync_runs.id"], name=op.f("fk_sync_keys_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sync_keys")),
    )
    op.create_index("uq_sync_keys_key", "sync_keys", ["requested_by", "key"], unique=True)
    op.execute(
        "CREATE TRIGGER touch_updated_at BEFORE UPDATE ON sync_keys FOR EACH ROW EXECUTE FUNCTION touch_updated_at()"
    )
    op.execute(
        "INSERT INTO sync_keys (requested_by, key, run_id)"
        " SELECT requested_by, idempotency_key, id FROM sync_runs WHERE idempotency_key IS NOT NULL"
    )
    op.drop_index("uq_sync_runs_idempotency_key", "sync_runs")
    op.drop_column("sync_runs", "idempotency_key")


def downgrade() -> None:
    op.add_column("sync_runs", sa.Column("idempotency_key", sa.Text(), nullable=True))
    op.execute("UPDATE sync_runs r SET idempotency_key = k.key FROM sync_keys k WHERE k.run_id = r.id")
    op.create_index("uq_sync_runs_idempotency_key", "sync_runs", ["requested_by", "idempotency_key"], unique=True)
    op.drop_table("sync_keys")
    op.drop_constraint(MODE, "sync_runs")
    op.create_check_constraint(op.f(MODE), "sync_runs", "mode IN ('INCREMENTAL', 'FULL')")
    op.drop_column("sync_runs", "compared_at")
    op.drop_column("sync_pages", "listed")
    op.drop_index("ix_document_sources_link_keys", "document_sources")
    op.drop_column("document_sources", "superseded")
    op.add_column("document_sources", sa.Column("seen_run_id", sa.Uuid(), nullable=True))
