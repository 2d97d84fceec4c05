-- pair: enum values go and move
CREATE TYPE e AS ENUM ('a', 'b', 'c', 'd'); CREATE TABLE t (x e DEFAULT 'a', y e[] DEFAULT '{a,b}', z text);
CREATE INDEX ti ON t (x) WHERE x <> 'b'; CREATE VIEW v AS SELECT x FROM t WHERE x = 'a'; CREATE FUNCTION f(e) RETURNS e LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION g() RETURNS e LANGUAGE sql BEGIN ATOMIC SELECT 'a'::e; END;
-- to:
CREATE TYPE e AS ENUM ('c', 'a', 'x'); CREATE TABLE t (x e DEFAULT 'a', y e[] DEFAULT '{a,c}', z text);
CREATE INDEX ti ON t (x) WHERE x <> 'c'; CREATE VIEW v AS SELECT x FROM t WHERE x = 'a'; CREATE FUNCTION f(e) RETURNS e LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION g() RETURNS e LANGUAGE sql BEGIN ATOMIC SELECT 'a'::e; END;
-- pair: enum grows and its new value is used
CREATE TYPE e AS ENUM ('a', 'b'); CREATE TABLE t (x e DEFAULT 'a');
-- to:
CREATE TYPE e AS ENUM ('_', 'a', 'm', 'b', 'z'); CREATE TABLE t (x e DEFAULT 'm' CHECK (x <> 'z'));
-- pair: enum becomes text and back
CREATE TYPE e AS ENUM ('a', 'b'); CREATE TABLE t (x e NOT NULL DEFAULT 'a');
-- to:
CREATE TABLE t (x text NOT NULL DEFAULT 'a');
-- pair: enum of a domain and of a primary key
CREATE TYPE e AS ENUM ('a', 'b'); CREATE DOMAIN d AS e DEFAULT 'a' CHECK (VALUE <> 'b'); CREATE TABLE t (x d, k e PRIMARY KEY); CREATE TABLE u (k e REFERENCES t (k));
-- to:
CREATE TYPE e AS ENUM ('b', 'a'); CREATE DOMAIN d AS e DEFAULT 'a' CHECK (VALUE <> 'b'); CREATE TABLE t (x d, k e PRIMARY KEY); CREATE TABLE u (k e REFERENCES t (k));
-- pair: domain constraints
CREATE DOMAIN d AS int CHECK (VALUE > 0); CREATE DOMAIN d2 AS d; CREATE TABLE t (x d, y d2); CREATE FUNCTION f(d) RETURNS d LANGUAGE sql AS 'SELECT $1';
-- to:
CREATE DOMAIN d AS int NOT NULL DEFAULT 1 CONSTRAINT positive CHECK (VALUE > -1); ALTER DOMAIN d ADD CONSTRAINT small CHECK (VALUE < 1000) NOT VALID;
CREATE DOMAIN d2 AS d CHECK (VALUE <> 77); CREATE TABLE t (x d, y d2); CREATE FUNCTION f(d) RETURNS d LANGUAGE sql AS 'SELECT $1';
COMMENT ON CONSTRAINT positive ON DOMAIN d IS 'plus';
-- pair: domain has another base type
CREATE DOMAIN d AS int CHECK (VALUE > 0); CREATE TABLE t (x d DEFAULT 3, y d[]); CREATE VIEW v AS SELECT x FROM t;
-- to:
CREATE DOMAIN d AS numeric(10,2) CHECK (VALUE > 0); CREATE TABLE t (x d DEFAULT 3, y d[]); CREATE VIEW v AS SELECT x FROM t;
-- pair: composite attributes
CREATE TYPE c AS (a int, b text); CREATE FUNCTION f() RETURNS c LANGUAGE sql AS 'SELECT NULL::c'; CREATE TYPE o AS (x c, y int);
-- to:
CREATE TYPE c AS (a int, b varchar(5), z date); CREATE FUNCTION f() RETURNS c LANGUAGE sql AS 'SELECT NULL::c'; CREATE TYPE o AS (x c, y int); COMMENT ON COLUMN c.z IS 'zed';
-- pair: range and multirange
CREATE TYPE r AS RANGE (SUBTYPE = float8); CREATE TABLE t (x r, EXCLUDE USING gist (x WITH &&)); CREATE FUNCTION f(r) RETURNS int LANGUAGE sql AS 'SELECT 1';
-- to:
CREATE TYPE r AS RANGE (SUBTYPE = float8, SUBTYPE_DIFF = float8mi, MULTIRANGE_TYPE_NAME = rm); CREATE TABLE t (x r, m rm, EXCLUDE USING gist (x WITH &&)); CREATE FUNCTION f(r) RETURNS int LANGUAGE sql AS 'SELECT 1';
-- pair: base type
CREATE TYPE b; CREATE FUNCTION b_in(cstring) RETURNS b LANGUAGE internal IMMUTABLE STRICT AS 'textin'; CREATE FUNCTION b_out(b) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';
CREATE TYPE b (INPUT = b_in, OUTPUT = b_out, LIKE = text); CREATE TABLE t (x b); COMMENT ON TYPE b IS 'base';
-- to:
CREATE TABLE t (y int);
-- pair: shell type
CREATE TYPE s;
-- to:
CREATE TABLE s (a int);
-- pair: array of table type, function of table type
CREATE TABLE t (a int); CREATE FUNCTION f(t) RETURNS SETOF t LANGUAGE sql AS 'SELECT $1'; CREATE TABLE u (x t[], y t);
-- to:
CREATE TABLE t (a int, b text); CREATE FUNCTION f(t) RETURNS SETOF t LANGUAGE sql AS 'SELECT $1'; CREATE TABLE u (x t[], y t, z int);
-- pair: casts and operators
CREATE TYPE p AS (a int); CREATE FUNCTION less(p, p) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1.a < $2.a'; CREATE FUNCTION more(p, p) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1.a > $2.a';
CREATE OPERATOR < (FUNCTION = less, LEFTARG = p, RIGHTARG = p, COMMUTATOR = >); CREATE OPERATOR > (FUNCTION = more, LEFTARG = p, RIGHTARG = p, COMMUTATOR = <);
CREATE FUNCTION toint(p) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1.a'; CREATE CAST (p AS int) WITH FUNCTION toint(p);
-- to:
CREATE TYPE p AS (a int); CREATE FUNCTION less(p, p) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1.a < $2.a';
CREATE OPERATOR < (FUNCTION = less, LEFTARG = p, RIGHTARG = p, RESTRICT = scalarltsel, JOIN = scalarltjoinsel);
CREATE FUNCTION toint(p) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1.a + 1'; CREATE CAST (p AS int) WITH FUNCTION toint(p) AS IMPLICIT; COMMENT ON OPERATOR < (p, p) IS 'less'; COMMENT ON CAST (p AS int) IS 'cast';
-- pair: operator classes and families
CREATE FUNCTION cmp(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 - $2'; CREATE TABLE t (a int);
-- to:
CREATE FUNCTION cmp(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 - $2'; CREATE TABLE t (a int); CREATE OPERATOR FAMILY fam USING btree;
CREATE OPERATOR CLASS oc FOR TYPE int USING btree FAMILY fam AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 cmp(int, int);
CREATE INDEX ti ON t (a oc); ALTER OPERATOR FAMILY fam USING btree ADD OPERATOR 1 < (int4, int8);
-- pair: collations
CREATE COLLATION c1 (provider = icu, locale = 'de'); CREATE TABLE t (a text COLLATE c1); CREATE INDEX ti ON t (a COLLATE "C");
-- to:
CREATE COLLATION c1 (provider = icu, locale = 'und-u-ks-level2', deterministic = false); CREATE TABLE t (a text COLLATE c1, b text COLLATE "POSIX"); CREATE INDEX ti ON t (a); COMMENT ON COLLATION c1 IS 'col';
-- pair: schema changes its comment and its owner while what is in it is made anew
CREATE SCHEMA app; CREATE TYPE app.en AS ENUM ('a', 'b'); CREATE TYPE app.co AS (x int); CREATE TABLE app.t (e app.en, c app.co); CREATE TABLE app.p (id int, v text);
COMMENT ON SCHEMA public IS 'old'; CREATE TYPE en AS ENUM ('a', 'b'); CREATE TABLE t (e en);
-- to:
CREATE SCHEMA app; CREATE TYPE app.en AS ENUM ('b'); CREATE TYPE app.co AS (x bigint, y int); CREATE TABLE app.t (e app.en, c app.co); CREATE TABLE app.p (id int, v text) PARTITION BY RANGE (id);
CREATE TABLE app.p1 PARTITION OF app.p DEFAULT; COMMENT ON SCHEMA app IS 'x'; ALTER SCHEMA app OWNER TO reader; CREATE TYPE en AS ENUM ('b'); CREATE TABLE t (e en);
