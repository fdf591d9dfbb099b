"""Experiments: several versions beside the champion, with fixed shares and a stated end."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "experiments",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("champion", sa.Integer(), nullable=False),
        sa.Column("shares", sa.JSON(), nullable=False),
        sa.Column("stopped", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("lasts", sa.Float(), nullable=False),
        sa.Column("requests", sa.Integer(), nullable=True),
        sa.Column("started", sa.String(length=32), nullable=False),
        sa.Column("moved", sa.String(length=32), nullable=False),
        sa.Column("ends", sa.String(length=32), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("request", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("request"),
        comment="Several versions beside the champion with fixed shares; `request` makes asking twice one experiment.",
    )
    op.create_index("ix_experiments_model", "experiments", ["model"], unique=False)
