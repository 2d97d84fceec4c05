CREATE SCHEMA shop;
CREATE EXTENSION pgcrypto;
CREATE TYPE shop.state AS ENUM ('new', 'paid', 'it''s gone');
CREATE TYPE shop.pair AS (a integer, b text);
CREATE DOMAIN shop.price AS numeric(10,2) NOT NULL DEFAULT 0 CHECK (VALUE >= 0);
CREATE SEQUENCE shop.numbers START 100 INCREMENT 5;
CREATE FUNCTION shop.touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE FUNCTION shop.add(a integer, b integer DEFAULT 1) RETURNS integer LANGUAGE sql IMMUTABLE RETURN a + b;
CREATE PROCEDURE shop.nothing(INOUT x integer) LANGUAGE plpgsql AS $$ BEGIN END $$;
CREATE AGGREGATE shop.total(integer) (SFUNC = int4pl, STYPE = integer, INITCOND = '0');
CREATE TABLE shop.customer (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  "E-mail" text COLLATE "C" NOT NULL UNIQUE,
  since timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE shop.orders (
  id serial PRIMARY KEY,
  customer bigint NOT NULL REFERENCES shop.customer ON DELETE CASCADE DEFERRABLE,
  state shop.state NOT NULL DEFAULT 'new',
  price shop.price,
  doubled numeric GENERATED ALWAYS AS (price * 2) STORED,
  CONSTRAINT positive CHECK (price > 0) NOT VALID
) WITH (fillfactor = 70);
CREATE INDEX orders_open ON shop.orders (customer DESC) INCLUDE (state) WHERE state <> 'paid';
CREATE TRIGGER touch BEFORE UPDATE ON shop.orders FOR EACH ROW EXECUTE FUNCTION shop.touch();
ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON shop.orders FOR SELECT USING (customer = 1);
COMMENT ON TABLE shop.orders IS 'what was ordered';
COMMENT ON COLUMN shop.orders.state IS 'how far it is';
GRANT SELECT ON shop.orders TO PUBLIC;
GRANT UPDATE (state) ON shop.orders TO PUBLIC;
REVOKE EXECUTE ON FUNCTION shop.add(integer, integer) FROM PUBLIC;
CREATE VIEW shop.unpaid WITH (security_barrier = true) AS SELECT id, state FROM shop.orders WHERE state = 'new';
CREATE MATERIALIZED VIEW shop.sums AS SELECT customer, sum(price) AS price FROM shop.orders GROUP BY customer;
CREATE UNIQUE INDEX ON shop.sums (customer);
CREATE TABLE shop.log (at date NOT NULL, what text) PARTITION BY RANGE (at);
CREATE TABLE shop.log_2024 PARTITION OF shop.log FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE INDEX ON shop.log (at);
CREATE TABLE shop.parent (a integer CHECK (a > 0));
CREATE TABLE shop.child (b integer) INHERITS (shop.parent);
