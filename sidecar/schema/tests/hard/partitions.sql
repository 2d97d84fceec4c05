-- pair: partition is attached
CREATE TABLE m (id int NOT NULL, at date NOT NULL, v text) PARTITION BY RANGE (at);
CREATE INDEX m_v ON m (v);
CREATE TABLE m_1 (id int NOT NULL, at date NOT NULL, v text);
-- to:
CREATE TABLE m (id int NOT NULL, at date NOT NULL, v text) PARTITION BY RANGE (at);
CREATE INDEX m_v ON m (v);
CREATE TABLE m_1 PARTITION OF m FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
-- pair: default partition and sub-partitions
CREATE TABLE m (id int, r text, at date) PARTITION BY LIST (r);
CREATE TABLE m_a PARTITION OF m FOR VALUES IN ('a');
CREATE TABLE m_d PARTITION OF m DEFAULT;
-- to:
CREATE TABLE m (id int, r text, at date) PARTITION BY LIST (r);
CREATE TABLE m_a PARTITION OF m FOR VALUES IN ('a') PARTITION BY RANGE (at);
CREATE TABLE m_a_1 PARTITION OF m_a FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE m_d PARTITION OF m DEFAULT;
-- pair: table becomes partitioned
CREATE TABLE t (id int NOT NULL, at date NOT NULL DEFAULT now(), v text CHECK (v <> ''), PRIMARY KEY (id, at));
CREATE INDEX t_v ON t (v);
CREATE VIEW tv AS SELECT id, v FROM t;
-- to:
CREATE TABLE t (id int NOT NULL, at date NOT NULL DEFAULT now(), v text CHECK (v <> ''), PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM ('2020-01-01') TO ('2040-01-01');
CREATE INDEX t_v ON t (v);
CREATE VIEW tv AS SELECT id, v FROM t;
-- pair: table with serial and foreign keys becomes hash partitioned
CREATE TABLE t (id serial PRIMARY KEY, v text);
CREATE TABLE u (id int PRIMARY KEY, t int REFERENCES t);
GRANT SELECT ON t TO PUBLIC;
-- to:
CREATE TABLE t (id serial PRIMARY KEY, v text, w int) PARTITION BY HASH (id);
CREATE TABLE t_0 PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE t_1 PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE u (id int PRIMARY KEY, t int REFERENCES t);
GRANT SELECT ON t TO PUBLIC;
-- pair: identity table becomes partitioned
CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY, g int GENERATED ALWAYS AS (1 + 1) STORED, v text);
-- to:
CREATE TABLE t (id bigint, g int GENERATED ALWAYS AS (1 + 1) STORED, v text) PARTITION BY LIST (v);
CREATE TABLE t_d PARTITION OF t DEFAULT;
-- pair: bounds of a partition change
CREATE TABLE m (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE m_1 PARTITION OF m FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
-- to:
CREATE TABLE m (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE m_1 PARTITION OF m FOR VALUES FROM ('2023-01-01') TO ('2025-01-01');
CREATE TABLE m_2 PARTITION OF m FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
-- pair: column type of a partitioned table
CREATE TABLE m (id int, at date, v int DEFAULT 1) PARTITION BY RANGE (at);
CREATE TABLE m_1 PARTITION OF m FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE INDEX m_v ON m (v);
-- to:
CREATE TABLE m (id bigint, at date, v text DEFAULT '1' NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE m_1 PARTITION OF m FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE INDEX m_v ON m (v);
-- pair: key and triggers of partitions
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TABLE m (id int NOT NULL, at date NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE m_1 PARTITION OF m FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
-- to:
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TABLE m (id int NOT NULL, at date NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE m_1 PARTITION OF m FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TRIGGER tr BEFORE INSERT ON m FOR EACH ROW EXECUTE FUNCTION f();
ALTER TABLE m_1 DISABLE TRIGGER tr;
ALTER TABLE m_1 ADD CHECK (id > 0);
ALTER TABLE m_1 ALTER id SET DEFAULT 5;
-- pair: table becomes partition of new table
CREATE TABLE m_1 (id int PRIMARY KEY, v text);
-- to:
CREATE TABLE m (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
CREATE TABLE m_1 PARTITION OF m FOR VALUES FROM (0) TO (1000);
-- pair: foreign key to and from a partitioned table
CREATE TABLE a (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE a1 PARTITION OF a FOR VALUES FROM (0) TO (1000);
CREATE TABLE b (a int);
-- to:
CREATE TABLE a (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE a1 PARTITION OF a FOR VALUES FROM (0) TO (1000);
CREATE TABLE b (a int REFERENCES a ON DELETE CASCADE) PARTITION BY RANGE (a);
CREATE TABLE b1 PARTITION OF b DEFAULT;
-- pair: inheritance made and taken away
CREATE TABLE p (a int, b text CHECK (b <> 'q'));
CREATE TABLE c (a int, b text CHECK (b <> 'q'), x int);
-- to:
CREATE TABLE p (a int, b text CONSTRAINT p_b_check CHECK (b <> 'q'), d date);
CREATE TABLE c (x int) INHERITS (p);
-- pair: inheritance of two
CREATE TABLE p (a int NOT NULL); CREATE TABLE q (b int DEFAULT 3);
CREATE TABLE c (x int) INHERITS (p, q);
-- to:
CREATE TABLE p (a bigint NOT NULL, n text); CREATE TABLE q (b int DEFAULT 4);
CREATE TABLE c (x int, CHECK (x > 0)) INHERITS (p, q);
ALTER TABLE c ALTER b SET DEFAULT 9;
