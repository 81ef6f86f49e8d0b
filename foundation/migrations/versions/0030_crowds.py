"""A crowd in a segment may come in slices: who moved knows which it belongs to; who moved lately is found by index."""

from alembic import op

revision = "0030"
down_revision = "0029"

NEW = (
    "ALTER TABLE segment_moves ADD COLUMN crowd_id BIGINT",
    "COMMENT ON COLUMN segment_moves.crowd_id IS 'held in'",
    """
    UPDATE segment_moves SET crowd_id = segment_crowds.id FROM segment_crowds
    WHERE segment_crowds.state = 'held' AND segment_moves.segment_id = segment_crowds.segment_id
        AND segment_moves.at = segment_crowds.at AND segment_moves.entered = segment_crowds.entered
    """,
    """
    ALTER TABLE segment_moves ADD CONSTRAINT segment_moves_crowd_id_fkey
        FOREIGN KEY(crowd_id) REFERENCES segment_crowds (id) ON DELETE SET NULL
    """,
    "CREATE INDEX segment_moves_crowd_id_idx ON segment_moves (crowd_id) WHERE crowd_id IS NOT NULL",
    "DROP INDEX segment_moves_segment_id_idx",
    "CREATE INDEX segment_moves_segment_id_idx ON segment_moves (segment_id, entered, at)",
    "COMMENT ON COLUMN segment_crowds.at IS 'of the first of them'",
    "COMMENT ON TABLE segment_crowds IS 'Very many who moved at once: campaigns are told once somebody said so'",
)


def upgrade() -> None:
    for statement in NEW:
        op.execute(statement)
