"""The schema of the first release."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table('campaigns',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('name', sa.Text(), nullable=False, comment='a short word for files and commands'),
    sa.Column('state', sa.Text(), nullable=False, comment='draft sending paused cancelled done'),
    sa.Column('definition', postgresql.JSONB(), nullable=False, comment='see campaigns/definitions.py'),
    sa.Column('version', sa.Integer(), server_default='1', nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('updated_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('launched_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('campaigns_pkey')),
    sa.UniqueConstraint('name', name=op.f('campaigns_name_key'))
    )
    op.create_table('customers',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('merged_into', sa.BigInteger(), nullable=True),
    sa.Column('user_id', sa.Text(), nullable=True, comment="the shop's own id; empty while anonymous"),
    sa.Column('email', sa.Text(), nullable=True),
    sa.Column('phone', sa.Text(), nullable=True, comment='E.164'),
    sa.Column('first_name', sa.Text(), nullable=True),
    sa.Column('last_name', sa.Text(), nullable=True),
    sa.Column('locale', sa.Text(), nullable=True),
    sa.Column('timezone', sa.Text(), nullable=True, comment='IANA name'),
    sa.Column('birth_year', sa.SmallInteger(), nullable=True),
    sa.Column('traits', postgresql.JSONB(), server_default='{}', nullable=False, comment='whatever else the shop told us'),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('updated_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['merged_into'], ['customers.id'], name=op.f('customers_merged_into_fkey'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('customers_pkey'))
    )
    op.create_index('customers_email_idx', 'customers', [sa.literal_column('lower(email) text_pattern_ops')], unique=False)
    op.create_index('customers_merged_into_idx', 'customers', ['merged_into'], unique=False, postgresql_where=sa.text('merged_into IS NOT NULL'))
    op.create_index('customers_name_idx', 'customers', [sa.literal_column('lower(last_name) text_pattern_ops')], unique=False)
    op.create_index('customers_user_id_key', 'customers', ['user_id'], unique=True, postgresql_where=sa.text('user_id IS NOT NULL'))
    op.create_table('event_counts',
    sa.Column('minute', sa.DateTime(timezone=True), nullable=False),
    sa.Column('source_id', sa.Integer(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('accepted', sa.Integer(), server_default='0', nullable=False),
    sa.Column('repeated', sa.Integer(), server_default='0', nullable=False),
    sa.Column('refused', sa.Integer(), server_default='0', nullable=False),
    sa.PrimaryKeyConstraint('minute', 'source_id', 'name', name=op.f('event_counts_pkey')),
    comment='Kept while events come in, so that no page ever counts them'
    )
    op.create_table('heartbeats',
    sa.Column('process', sa.Text(), nullable=False, comment='host and process id'),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('started_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('beat_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('process', name=op.f('heartbeats_pkey'))
    )
    op.create_table('job_runs',
    sa.Column('job', sa.Text(), nullable=False),
    sa.Column('started_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('finished_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('seconds', sa.Float(), nullable=True),
    sa.Column('outcome', sa.Text(), nullable=True, comment="what the job said it did; the error's text if it failed"),
    sa.Column('failed', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('failures_in_a_row', sa.Integer(), server_default='0', nullable=False),
    sa.PrimaryKeyConstraint('job', name=op.f('job_runs_pkey')),
    comment='The last run of each timed job'
    )
    op.create_table('offers',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False, comment='percentage amount free_shipping'),
    sa.Column('value', sa.BigInteger(), nullable=False, comment='hundredths of a percent, or minor units; 0 for shipping'),
    sa.Column('currency', sa.Text(), nullable=False),
    sa.Column('minimum', sa.BigInteger(), server_default='0', nullable=False, comment='smallest basket, minor units'),
    sa.Column('prefix', sa.Text(), nullable=False, comment='first letters of its codes'),
    sa.Column('valid_days', sa.Integer(), nullable=False, comment="a code's life from the day it is issued"),
    sa.Column('starts_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('ends_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('offers_pkey')),
    sa.UniqueConstraint('name', name=op.f('offers_name_key'))
    )
    op.create_table('policy',
    sa.Column('one_row', sa.Boolean(), server_default=sa.text('true'), nullable=False),
    sa.Column('values', postgresql.JSONB(), nullable=False, comment='caps, quiet hours, sender, attribution window'),
    sa.Column('updated_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint('one_row', name=op.f('policy_one_row_check')),
    sa.PrimaryKeyConstraint('one_row', name=op.f('policy_pkey')),
    comment='What the merchant decided; one row'
    )
    op.create_table('products',
    sa.Column('product_id', sa.Text(), nullable=False),
    sa.Column('title', sa.Text(), nullable=False),
    sa.Column('category', sa.Text(), nullable=True, comment='a path: Kitchen > Pots'),
    sa.Column('brand', sa.Text(), nullable=True),
    sa.Column('price', sa.BigInteger(), nullable=True, comment='minor units'),
    sa.Column('currency', sa.Text(), nullable=True),
    sa.Column('url', sa.Text(), nullable=True),
    sa.Column('image_url', sa.Text(), nullable=True),
    sa.Column('active', sa.Boolean(), server_default=sa.text('true'), nullable=False),
    sa.Column('attributes', postgresql.JSONB(), server_default='{}', nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('updated_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('product_id', name=op.f('products_pkey'))
    )
    op.create_table('provider_events',
    sa.Column('provider', sa.Text(), nullable=False),
    sa.Column('event_id', sa.Text(), nullable=False),
    sa.Column('message_id', sa.UUID(), nullable=True),
    sa.Column('attempt', sa.Integer(), nullable=True),
    sa.Column('type', sa.Text(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('received_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('raw', postgresql.JSONB(), nullable=False),
    sa.PrimaryKeyConstraint('provider', 'event_id', name=op.f('provider_events_pkey'))
    )
    op.create_index('provider_events_message_id_idx', 'provider_events', ['message_id'], unique=False)
    op.create_table('provider_gates',
    sa.Column('provider', sa.Text(), nullable=False),
    sa.Column('breaker', sa.Text(), nullable=False, comment='closed open half'),
    sa.Column('reason', sa.Text(), nullable=True),
    sa.Column('opened_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('blocked_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('ambiguous_in_a_row', sa.Integer(), server_default='0', nullable=False),
    sa.Column('openings_in_a_row', sa.Integer(), server_default='0', nullable=False),
    sa.PrimaryKeyConstraint('provider', name=op.f('provider_gates_pkey')),
    comment='Whether a provider may be spoken to right now'
    )
    op.create_table('rate_limits',
    sa.Column('bucket', sa.LargeBinary(), nullable=False, comment='SHA-256 of what is counted; no address is kept'),
    sa.Column('started_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('hits', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('bucket', name=op.f('rate_limits_pkey')),
    comment='Tries counted over all processes, within a window that began at started_at'
    )
    op.create_index('rate_limits_started_at_idx', 'rate_limits', ['started_at'], unique=False)
    op.create_table('refused_events',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('source_id', sa.Integer(), nullable=False),
    sa.Column('received_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False, comment='a stable word'),
    sa.Column('faults', postgresql.JSONB(), nullable=False, comment='pointer and detail of each fault'),
    sa.Column('payload', sa.Text(), nullable=False, comment='as sent, cut at 4,000 characters'),
    sa.PrimaryKeyConstraint('id', name=op.f('refused_events_pkey'))
    )
    op.create_index('refused_events_received_at_idx', 'refused_events', ['received_at'], unique=False)
    op.create_table('sources',
    sa.Column('id', sa.Integer(), sa.Identity(always=False), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('channel', sa.Text(), nullable=False, comment='source channel of events that name none'),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('last_event_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('sources_pkey')),
    sa.UniqueConstraint('name', name=op.f('sources_name_key')),
    comment='Who sends us events: a site, an app, a till, a file, Relance itself'
    )
    op.create_table('stock',
    sa.Column('product_id', sa.Text(), nullable=False),
    sa.Column('store_id', sa.Text(), nullable=False),
    sa.Column('quantity', sa.Integer(), nullable=False),
    sa.Column('updated_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('product_id', 'store_id', name=op.f('stock_pkey')),
    comment='A product without any row here is taken to be in stock'
    )
    op.create_index('stock_store_id_idx', 'stock', ['store_id'], unique=False)
    op.create_table('stores',
    sa.Column('store_id', sa.Text(), nullable=False),
    sa.Column('name', sa.Text(), nullable=True),
    sa.Column('latitude', sa.Float(), nullable=True),
    sa.Column('longitude', sa.Float(), nullable=True),
    sa.Column('timezone', sa.Text(), nullable=True),
    sa.Column('address', sa.Text(), nullable=True),
    sa.Column('updated_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('store_id', name=op.f('stores_pkey'))
    )
    op.create_table('suppressions',
    sa.Column('channel', sa.Text(), nullable=False),
    sa.Column('address_hash', sa.LargeBinary(), nullable=False, comment='of the normalised address; no address is kept'),
    sa.Column('reason', sa.Text(), nullable=False, comment='hard_bounce complaint unsubscribed erased manual'),
    sa.Column('since', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('channel', 'address_hash', name=op.f('suppressions_pkey')),
    comment='An address we must not use, whatever anyone consents'
    )
    op.create_table('training_runs',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('started_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('finished_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('state', sa.Text(), nullable=False, comment='running published refused failed'),
    sa.Column('reason', sa.Text(), nullable=True, comment='why it was or was not published, in a sentence'),
    sa.Column('window', postgresql.JSONB(), server_default='{}', nullable=False, comment='first and last event, customers, products'),
    sa.Column('results', postgresql.JSONB(), server_default='[]', nullable=False, comment='one entry an algorithm, as `evaluate` prints'),
    sa.Column('model_id', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('training_runs_pkey'))
    )
    op.create_table('users',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('email', sa.Text(), nullable=False),
    sa.Column('name', sa.Text(), nullable=True),
    sa.Column('role', sa.Text(), nullable=False, comment='admin marketer analyst store'),
    sa.Column('password_hash', sa.Text(), nullable=False, comment='argon2id'),
    sa.Column('locale', sa.Text(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('disabled_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('users_pkey')),
    sa.UniqueConstraint('email', name=op.f('users_email_key'))
    )
    op.create_table('api_keys',
    sa.Column('id', sa.Integer(), sa.Identity(always=False), nullable=False),
    sa.Column('source_id', sa.Integer(), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False, comment='write or secret'),
    sa.Column('prefix', sa.Text(), nullable=False, comment='first characters, to recognise it by'),
    sa.Column('key_hash', sa.LargeBinary(), nullable=False, comment='SHA-256; the key itself is not kept'),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('revoked_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['source_id'], ['sources.id'], name=op.f('api_keys_source_id_fkey')),
    sa.PrimaryKeyConstraint('id', name=op.f('api_keys_pkey')),
    sa.UniqueConstraint('key_hash', name=op.f('api_keys_key_hash_key'))
    )
    op.create_table('carts',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('cart_id', sa.Text(), nullable=False, comment="the shop's id, else one made here"),
    sa.Column('customer_id', sa.BigInteger(), nullable=False),
    sa.Column('origin_id', sa.BigInteger(), nullable=False, comment='the customer it was written for at first'),
    sa.Column('state', sa.Text(), nullable=False, comment='open ordered emptied'),
    sa.Column('lines', postgresql.JSONB(), nullable=False, comment='[{product_id, quantity, price, title, url, image_url}]'),
    sa.Column('value', sa.BigInteger(), nullable=False, comment='minor units'),
    sa.Column('currency', sa.Text(), nullable=True),
    sa.Column('channel', sa.Text(), nullable=False, comment='where it was last touched'),
    sa.Column('coupon', sa.Text(), nullable=True),
    sa.Column('url', sa.Text(), nullable=True, comment='the page where the shop shows this cart'),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('touched_at', sa.DateTime(timezone=True), nullable=False, comment='when the customer last did something with it'),
    sa.Column('order_id', sa.Text(), nullable=True),
    sa.Column('closed_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['customer_id'], ['customers.id'], name=op.f('carts_customer_id_fkey'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('carts_pkey')),
    sa.UniqueConstraint('cart_id', name=op.f('carts_cart_id_key'))
    )
    op.create_index('carts_customer_id_idx', 'carts', ['customer_id', 'touched_at'], unique=False)
    op.create_index('carts_open_idx', 'carts', ['touched_at'], unique=False, postgresql_where=sa.text("state = 'open'"))
    op.create_table('consent_log',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('customer_id', sa.BigInteger(), nullable=False),
    sa.Column('origin_id', sa.BigInteger(), nullable=False, comment='the customer it was written for at first'),
    sa.Column('channel', sa.Text(), nullable=False, comment='email push sms onsite ads, or any'),
    sa.Column('purpose', sa.Text(), nullable=False, comment='marketing analytics personalization, or any'),
    sa.Column('state', sa.Text(), nullable=False, comment='granted or denied'),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('source', sa.Text(), nullable=False, comment='where it was said'),
    sa.Column('text', sa.Text(), nullable=True, comment='the words the customer saw'),
    sa.Column('form', sa.Text(), nullable=True, comment='the form or page, and its version'),
    sa.Column('proof', postgresql.JSONB(), server_default='{}', nullable=False),
    sa.Column('recorded_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['customer_id'], ['customers.id'], name=op.f('consent_log_customer_id_fkey'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('consent_log_pkey')),
    sa.UniqueConstraint('origin_id', 'channel', 'purpose', 'state', 'at', 'source', name=op.f('consent_log_origin_id_channel_purpose_state_at_source_key')),
    comment='Every yes and no with its proof; rows are only ever added'
    )
    op.create_index('consent_log_customer_id_idx', 'consent_log', ['customer_id'], unique=False)
    op.create_table('consents',
    sa.Column('customer_id', sa.BigInteger(), nullable=False),
    sa.Column('channel', sa.Text(), nullable=False),
    sa.Column('purpose', sa.Text(), nullable=False),
    sa.Column('state', sa.Text(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['customer_id'], ['customers.id'], name=op.f('consents_customer_id_fkey'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('customer_id', 'channel', 'purpose', name=op.f('consents_pkey')),
    comment='What the log says now'
    )
    op.create_table('events',
    sa.Column('key', sa.UUID(), nullable=False, comment='from source and messageId: a repeat is nothing'),
    sa.Column('customer_id', sa.BigInteger(), nullable=True),
    sa.Column('origin_id', sa.BigInteger(), nullable=True, comment='the customer it was written for at first'),
    sa.Column('name', sa.Text(), nullable=False, comment='as the e-commerce specification names it, or as sent'),
    sa.Column('occurred_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('received_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('source_id', sa.Integer(), nullable=False),
    sa.Column('channel', sa.Text(), nullable=False),
    sa.Column('product_id', sa.Text(), nullable=True),
    sa.Column('order_id', sa.Text(), nullable=True),
    sa.Column('cart_id', sa.Text(), nullable=True),
    sa.Column('store_id', sa.Text(), nullable=True),
    sa.Column('message_id', sa.Text(), nullable=True, comment="the sender's messageId"),
    sa.Column('properties', postgresql.JSONB(), nullable=False),
    sa.Column('context', postgresql.JSONB(), nullable=False),
    sa.ForeignKeyConstraint(['customer_id'], ['customers.id'], name=op.f('events_customer_id_fkey'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('key', name=op.f('events_pkey'))
    )
    op.create_index('events_customer_id_occurred_at_idx', 'events', ['customer_id', 'occurred_at'], unique=False)
    op.create_index('events_received_at_idx', 'events', ['received_at'], unique=False, postgresql_using='brin')
    op.create_table('identities',
    sa.Column('kind', sa.Text(), nullable=False, comment='user_id anonymous_id email phone card device'),
    sa.Column('value', sa.Text(), nullable=False, comment='normalised'),
    sa.Column('customer_id', sa.BigInteger(), nullable=False),
    sa.Column('origin_id', sa.BigInteger(), nullable=False, comment='the customer it was written for at first'),
    sa.Column('first_seen_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('quarantined_at', sa.DateTime(timezone=True), nullable=True, comment='claimed by too many people to say who is meant'),
    sa.ForeignKeyConstraint(['customer_id'], ['customers.id'], name=op.f('identities_customer_id_fkey'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('kind', 'value', name=op.f('identities_pkey')),
    comment='One handle of one customer'
    )
    op.create_index('identities_customer_id_idx', 'identities', ['customer_id'], unique=False)
    op.create_table('identity_claims',
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('value', sa.Text(), nullable=False),
    sa.Column('customer_id', sa.BigInteger(), nullable=False),
    sa.Column('claimed_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['customer_id'], ['customers.id'], name=op.f('identity_claims_customer_id_fkey'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('kind', 'value', 'customer_id', name=op.f('identity_claims_pkey')),
    comment='A known customer who gave a handle that another known customer already holds'
    )
    op.create_table('merges',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('winner_id', sa.BigInteger(), nullable=False),
    sa.Column('loser_id', sa.BigInteger(), nullable=False),
    sa.Column('evidence', postgresql.JSONB(), nullable=False, comment='kind and value that tied them, event, source'),
    sa.Column('merged_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('undone_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('undone_by', sa.Text(), nullable=True),
    sa.ForeignKeyConstraint(['loser_id'], ['customers.id'], name=op.f('merges_loser_id_fkey'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['winner_id'], ['customers.id'], name=op.f('merges_winner_id_fkey'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('merges_pkey'))
    )
    op.create_index(op.f('merges_loser_id_idx'), 'merges', ['loser_id'], unique=False)
    op.create_index(op.f('merges_winner_id_idx'), 'merges', ['winner_id'], unique=False)
    op.create_table('models',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('run_id', sa.BigInteger(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('manifest', postgresql.JSONB(), nullable=False, comment='algorithms, weights, window, seed, versions, metrics'),
    sa.Column('sha256', sa.LargeBinary(), nullable=False),
    sa.Column('artefact', sa.LargeBinary(), nullable=False, comment='plain numpy arrays; never pickle'),
    sa.ForeignKeyConstraint(['run_id'], ['training_runs.id'], name=op.f('models_run_id_fkey')),
    sa.PrimaryKeyConstraint('id', name=op.f('models_pkey'))
    )
    op.create_table('orders',
    sa.Column('order_id', sa.Text(), nullable=False),
    sa.Column('customer_id', sa.BigInteger(), nullable=False),
    sa.Column('origin_id', sa.BigInteger(), nullable=False, comment='the customer it was written for at first'),
    sa.Column('ordered_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('received_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('state', sa.Text(), nullable=False, comment='completed cancelled refunded'),
    sa.Column('channel', sa.Text(), nullable=False),
    sa.Column('store_id', sa.Text(), nullable=True),
    sa.Column('total', sa.BigInteger(), nullable=False, comment='minor units, what was paid'),
    sa.Column('discount', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('refunded', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('currency', sa.Text(), nullable=True),
    sa.Column('coupon', sa.Text(), nullable=True),
    sa.Column('cart_id', sa.Text(), nullable=True),
    sa.ForeignKeyConstraint(['customer_id'], ['customers.id'], name=op.f('orders_customer_id_fkey'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('order_id', name=op.f('orders_pkey'))
    )
    op.create_index('orders_customer_id_idx', 'orders', ['customer_id', 'ordered_at'], unique=False)
    op.create_index('orders_received_at_idx', 'orders', ['received_at'], unique=False)
    op.create_index('orders_undone_idx', 'orders', ['customer_id'], unique=False, postgresql_where=sa.text("state <> 'completed'"))
    op.create_table('profiles',
    sa.Column('customer_id', sa.BigInteger(), nullable=False),
    sa.Column('first_seen_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('last_seen_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('events', sa.Integer(), server_default='0', nullable=False),
    sa.Column('product_views', sa.Integer(), server_default='0', nullable=False),
    sa.Column('cart_adds', sa.Integer(), server_default='0', nullable=False),
    sa.Column('orders', sa.Integer(), server_default='0', nullable=False),
    sa.Column('spent', sa.BigInteger(), server_default='0', nullable=False, comment='minor units, net of refunds'),
    sa.Column('first_order_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('last_order_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('web_last_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('app_last_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('store_last_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('marketplace_last_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('call_center_last_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['customer_id'], ['customers.id'], name=op.f('profiles_customer_id_fkey'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('customer_id', name=op.f('profiles_pkey')),
    comment='What events have taught us; every column is a sum, a minimum or a maximum, so order never matters'
    )
    op.create_table('promo_codes',
    sa.Column('code', sa.Text(), nullable=False, comment='letters and digits only, without the dashes'),
    sa.Column('offer_id', sa.BigInteger(), nullable=False),
    sa.Column('customer_id', sa.BigInteger(), nullable=False),
    sa.Column('state', sa.Text(), nullable=False, comment='reserved issued redeemed released'),
    sa.Column('message_id', sa.UUID(), nullable=True),
    sa.Column('reserved_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('issued_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('redeemed_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('order_id', sa.Text(), nullable=True),
    sa.Column('channel', sa.Text(), nullable=True),
    sa.Column('discount', sa.BigInteger(), nullable=True),
    sa.Column('redeemed_by', sa.Text(), nullable=True, comment='the customer named at the till, when one was'),
    sa.ForeignKeyConstraint(['customer_id'], ['customers.id'], name=op.f('promo_codes_customer_id_fkey'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['offer_id'], ['offers.id'], name=op.f('promo_codes_offer_id_fkey')),
    sa.PrimaryKeyConstraint('code', name=op.f('promo_codes_pkey')),
    sa.UniqueConstraint('offer_id', 'customer_id', name=op.f('promo_codes_offer_id_customer_id_key'))
    )
    op.create_index('promo_codes_customer_id_idx', 'promo_codes', ['customer_id'], unique=False)
    op.create_table('sessions',
    sa.Column('token_hash', sa.LargeBinary(), nullable=False),
    sa.Column('user_id', sa.BigInteger(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('seen_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('sessions_user_id_fkey'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('token_hash', name=op.f('sessions_pkey'))
    )
    op.create_index(op.f('sessions_user_id_idx'), 'sessions', ['user_id'], unique=False)
    op.create_table('slates',
    sa.Column('id', sa.UUID(), nullable=False),
    sa.Column('shown_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('customer_id', sa.BigInteger(), nullable=True),
    sa.Column('placement', sa.Text(), nullable=False),
    sa.Column('model_id', sa.BigInteger(), nullable=True),
    sa.Column('items', postgresql.JSONB(), nullable=False, comment='[{product_id, source, score}] in the order shown'),
    sa.ForeignKeyConstraint(['customer_id'], ['customers.id'], name=op.f('slates_customer_id_fkey'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('slates_pkey'))
    )
    op.create_index('slates_customer_id_idx', 'slates', ['customer_id'], unique=False, postgresql_where=sa.text('customer_id IS NOT NULL'))
    op.create_index('slates_shown_at_idx', 'slates', ['shown_at'], unique=False, postgresql_using='brin')
    op.create_table('enrolments',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('campaign_id', sa.BigInteger(), nullable=False),
    sa.Column('customer_id', sa.BigInteger(), nullable=False),
    sa.Column('entry_key', sa.Text(), nullable=False, comment='the cart, the day: what makes two entries differ'),
    sa.Column('arm', sa.Text(), nullable=False, comment="a variant's name, or holdout"),
    sa.Column('state', sa.Text(), nullable=False, comment='waiting left'),
    sa.Column('position', sa.Integer(), server_default='0', nullable=False, comment='the next step'),
    sa.Column('entered_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('wake_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('left_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('reason', sa.Text(), nullable=True, comment='why it left: converted, ended, cancelled …'),
    sa.Column('cart_ref', sa.BigInteger(), nullable=True, comment='the cart it is about'),
    sa.ForeignKeyConstraint(['campaign_id'], ['campaigns.id'], name=op.f('enrolments_campaign_id_fkey')),
    sa.ForeignKeyConstraint(['cart_ref'], ['carts.id'], name=op.f('enrolments_cart_ref_fkey'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['customer_id'], ['customers.id'], name=op.f('enrolments_customer_id_fkey'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('enrolments_pkey')),
    sa.UniqueConstraint('campaign_id', 'customer_id', 'entry_key', name=op.f('enrolments_campaign_id_customer_id_entry_key_key'))
    )
    op.create_index('enrolments_customer_id_idx', 'enrolments', ['customer_id'], unique=False)
    op.create_index('enrolments_entry_key_idx', 'enrolments', ['campaign_id', 'entry_key'], unique=False)
    op.create_index('enrolments_wake_at_idx', 'enrolments', ['wake_at'], unique=False, postgresql_where=sa.text("state = 'waiting'"))
    op.create_table('idempotency',
    sa.Column('key_id', sa.Integer(), nullable=False),
    sa.Column('idempotency_key', sa.Text(), nullable=False),
    sa.Column('request_hash', sa.LargeBinary(), nullable=False),
    sa.Column('status', sa.Integer(), nullable=True),
    sa.Column('body', sa.Text(), nullable=True, comment='as it was sent'),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['key_id'], ['api_keys.id'], name=op.f('idempotency_key_id_fkey'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('key_id', 'idempotency_key', name=op.f('idempotency_pkey')),
    comment='Answers of writes that carried an Idempotency-Key; kept 24 hours'
    )
    op.create_table('live_model',
    sa.Column('one_row', sa.Boolean(), server_default=sa.text('true'), nullable=False),
    sa.Column('model_id', sa.BigInteger(), nullable=False),
    sa.Column('since', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint('one_row', name=op.f('live_model_one_row_check')),
    sa.ForeignKeyConstraint(['model_id'], ['models.id'], name=op.f('live_model_model_id_fkey')),
    sa.PrimaryKeyConstraint('one_row', name=op.f('live_model_pkey')),
    comment='The pointer: publishing and rolling back move it'
    )
    op.create_table('order_lines',
    sa.Column('order_id', sa.Text(), nullable=False),
    sa.Column('line', sa.Integer(), nullable=False),
    sa.Column('customer_id', sa.BigInteger(), nullable=False, comment="the order's, kept here for reading in one step"),
    sa.Column('ordered_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('product_id', sa.Text(), nullable=False),
    sa.Column('quantity', sa.Integer(), nullable=False),
    sa.Column('price', sa.BigInteger(), nullable=True, comment='minor units, of one piece'),
    sa.ForeignKeyConstraint(['order_id'], ['orders.order_id'], name=op.f('order_lines_order_id_fkey'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('order_id', 'line', name=op.f('order_lines_pkey'))
    )
    op.create_index('order_lines_customer_id_idx', 'order_lines', ['customer_id', 'ordered_at'], unique=False)
    op.create_table('messages',
    sa.Column('id', sa.UUID(), nullable=False, comment='opaque; travels to the provider and back'),
    sa.Column('campaign_id', sa.BigInteger(), nullable=False),
    sa.Column('step', sa.Text(), nullable=False),
    sa.Column('channel', sa.Text(), nullable=False),
    sa.Column('customer_id', sa.BigInteger(), nullable=False),
    sa.Column('entry_key', sa.Text(), nullable=False),
    sa.Column('enrolment_id', sa.BigInteger(), nullable=True),
    sa.Column('cart_ref', sa.BigInteger(), nullable=True, comment='the cart it is about'),
    sa.Column('address_hash', sa.LargeBinary(), nullable=True, comment='of the normalised address, known once it is rendered'),
    sa.Column('state', sa.Text(), nullable=False, comment='see campaigns/states.py'),
    sa.Column('reason', sa.Text(), nullable=True, comment='a stable word: why it was skipped, failed, held'),
    sa.Column('detail', sa.Text(), nullable=True, comment="the provider's or the template's own words"),
    sa.Column('attempt', sa.Integer(), server_default='0', nullable=False),
    sa.Column('refusals', sa.Integer(), server_default='0', nullable=False, comment='retryable refusals that count'),
    sa.Column('lease_token', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('lease_owner', sa.Text(), nullable=True),
    sa.Column('lease_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('queued_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('not_before', sa.DateTime(timezone=True), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('submitted_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('accepted_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('resolved_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('resolved_by', sa.Text(), nullable=True, comment='reply webhook log_pull operator deadline'),
    sa.Column('provider', sa.Text(), nullable=True),
    sa.Column('provider_ref', sa.Text(), nullable=True),
    sa.Column('payload_hash', sa.LargeBinary(), nullable=True),
    sa.Column('first_clicked_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('last_clicked_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('opened_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('settled_at', sa.DateTime(timezone=True), nullable=True, comment='when its promo code and its event followed from where it ended'),
    sa.ForeignKeyConstraint(['campaign_id'], ['campaigns.id'], name=op.f('messages_campaign_id_fkey')),
    sa.ForeignKeyConstraint(['cart_ref'], ['carts.id'], name=op.f('messages_cart_ref_fkey'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['customer_id'], ['customers.id'], name=op.f('messages_customer_id_fkey'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['enrolment_id'], ['enrolments.id'], name=op.f('messages_enrolment_id_fkey'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('messages_pkey')),
    sa.UniqueConstraint('campaign_id', 'step', 'channel', 'address_hash', 'entry_key', name=op.f('messages_campaign_id_step_channel_address_hash_entry_key_key')),
    sa.UniqueConstraint('campaign_id', 'step', 'channel', 'customer_id', 'entry_key', name=op.f('messages_campaign_id_step_channel_customer_id_entry_key_key')),
    comment='One thing for one customer by one channel'
    )
    op.create_index('messages_clicked_idx', 'messages', ['last_clicked_at'], unique=False, postgresql_where=sa.text('last_clicked_at IS NOT NULL'))
    op.create_index('messages_customer_id_idx', 'messages', ['customer_id', 'queued_at'], unique=False)
    op.create_index('messages_leased_idx', 'messages', ['lease_until'], unique=False, postgresql_where=sa.text("state IN ('claimed', 'submitting')"))
    op.create_index('messages_pending_idx', 'messages', ['not_before'], unique=False, postgresql_where=sa.text("state = 'pending'"))
    op.create_index('messages_queued_at_idx', 'messages', ['queued_at'], unique=False)
    op.create_index('messages_uncertain_idx', 'messages', ['submitted_at'], unique=False, postgresql_where=sa.text("state = 'uncertain'"))
    op.create_index('messages_unsettled_idx', 'messages', ['resolved_at'], unique=False, postgresql_where=sa.text('settled_at IS NULL AND resolved_at IS NOT NULL'))
    op.create_table('attempts',
    sa.Column('message_id', sa.UUID(), nullable=False),
    sa.Column('n', sa.Integer(), nullable=False),
    sa.Column('started_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('outcome', sa.Text(), nullable=True, comment='see campaigns/channels/base.py'),
    sa.Column('detail', sa.Text(), nullable=True),
    sa.ForeignKeyConstraint(['message_id'], ['messages.id'], name=op.f('attempts_message_id_fkey'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('message_id', 'n', name=op.f('attempts_pkey'))
    )
    op.create_table('attributions',
    sa.Column('order_id', sa.Text(), nullable=False),
    sa.Column('message_id', sa.UUID(), nullable=False),
    sa.Column('campaign_id', sa.BigInteger(), nullable=False),
    sa.Column('touched_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('ordered_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('amount', sa.BigInteger(), nullable=False),
    sa.Column('currency', sa.Text(), nullable=True),
    sa.ForeignKeyConstraint(['campaign_id'], ['campaigns.id'], name=op.f('attributions_campaign_id_fkey')),
    sa.ForeignKeyConstraint(['message_id'], ['messages.id'], name=op.f('attributions_message_id_fkey'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['order_id'], ['orders.order_id'], name=op.f('attributions_order_id_fkey'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('order_id', name=op.f('attributions_pkey'))
    )
    op.create_index('attributions_campaign_id_idx', 'attributions', ['campaign_id', 'ordered_at'], unique=False)
    op.create_index('attributions_message_id_idx', 'attributions', ['message_id'], unique=False)
    op.create_table('message_contents',
    sa.Column('message_id', sa.UUID(), nullable=False),
    sa.Column('address', sa.Text(), nullable=False),
    sa.Column('sender', sa.Text(), nullable=False),
    sa.Column('subject', sa.Text(), nullable=False),
    sa.Column('html', sa.Text(), nullable=False),
    sa.Column('text', sa.Text(), nullable=False),
    sa.Column('headers', postgresql.JSONB(), nullable=False),
    sa.Column('links', postgresql.JSONB(), nullable=False, comment='addresses by number, looked up when a link is clicked'),
    sa.Column('promo_code', sa.Text(), nullable=True),
    sa.Column('slate_id', sa.UUID(), nullable=True),
    sa.Column('rendered_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['message_id'], ['messages.id'], name=op.f('message_contents_message_id_fkey'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('message_id', name=op.f('message_contents_pkey')),
    comment='What exactly is sent; frozen before the first attempt, the same for every later one'
    )
    op.create_table('outbox',
    sa.Column('message_id', sa.UUID(), nullable=False),
    sa.Column('received_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('opened_at', sa.DateTime(timezone=True), nullable=True, comment="when someone first looked at it in the console's mailbox"),
    sa.ForeignKeyConstraint(['message_id'], ['messages.id'], name=op.f('outbox_message_id_fkey'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('message_id', name=op.f('outbox_pkey')),
    comment='What the outbox channel would have sent; shown as a mailbox'
    )
