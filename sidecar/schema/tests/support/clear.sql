ROLLBACK; RESET ALL; SET client_min_messages = error;
DO $$ DECLARE x record; BEGIN
  FOR x IN SELECT extname FROM pg_extension WHERE extname <> 'plpgsql' LOOP EXECUTE format('DROP EXTENSION %I CASCADE', x.extname); END LOOP;
  FOR x IN SELECT DISTINCT grantee FROM (SELECT pg_get_userbyid((aclexplode(defaclacl)).grantee) AS grantee FROM pg_default_acl
      UNION SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_' AND rolname <> 'postgres' AND EXISTS (SELECT FROM pg_default_acl)) y
      WHERE grantee <> 'postgres' AND EXISTS (SELECT FROM pg_roles WHERE rolname = grantee) LOOP
    EXECUTE format('DROP OWNED BY %I CASCADE', x.grantee); END LOOP;
  FOR x IN SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'public') LOOP
    EXECUTE format('DROP SCHEMA %I CASCADE', x.nspname); END LOOP;
  FOR x IN SELECT c.oid::regclass AS name, CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE'
      WHEN 'c' THEN 'TYPE' ELSE 'TABLE' END AS kind FROM pg_class c WHERE relnamespace = 'public'::regnamespace
      AND relkind IN ('r', 'p', 'v', 'm', 'S', 'c') ORDER BY relkind = 'S' LOOP
    IF EXISTS (SELECT FROM pg_class WHERE oid = x.name::oid) THEN EXECUTE format('DROP %s %s CASCADE', x.kind, x.name); END IF; END LOOP;
  FOR x IN SELECT oid FROM pg_proc WHERE pronamespace = 'public'::regnamespace LOOP
    IF EXISTS (SELECT FROM pg_proc WHERE oid = x.oid) THEN EXECUTE format('DROP ROUTINE %s CASCADE', x.oid::regprocedure); END IF; END LOOP;
  FOR x IN SELECT collname FROM pg_collation WHERE collnamespace = 'public'::regnamespace LOOP
    EXECUTE format('DROP COLLATION public.%I CASCADE', x.collname); END LOOP;
  FOR x IN SELECT oid FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typtype IN ('e', 'd', 'r') LOOP
    IF EXISTS (SELECT FROM pg_type WHERE oid = x.oid) THEN EXECUTE format('DROP TYPE %s CASCADE', x.oid::regtype); END IF; END LOOP;
END $$;
RESET ALL;
