SET client_min_messages = error;
DO $$ DECLARE t record; one jsonb; every jsonb := '{}'; columns text;
BEGIN
  SET LOCAL search_path = ''; SET LOCAL timezone = 'UTC'; SET LOCAL extra_float_digits = 0; SET LOCAL row_security = off;
  FOR t IN SELECT c.oid, c.relkind, format('%s', coalesce((SELECT format('%s.%s', quote_ident(x.nspname), quote_ident(r.relname)) FROM pg_catalog.pg_class r JOIN pg_catalog.pg_namespace x ON x.oid = r.relnamespace WHERE r.oid = pg_catalog.pg_partition_root(c.oid)), '')) AS root, format('%s.%s', quote_ident(n.nspname), quote_ident(c.relname)) AS name
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' LOOP
    SELECT string_agg(format('SELECT %1$L AS c, json_build_array(%2$L, count(%1$I) FILTER (WHERE "~own"), coalesce(md5(string_agg(%1$I::text, '','' ORDER BY %1$I::text COLLATE "C") FILTER (WHERE "~own")), ''''), '
        'count(%1$I), coalesce(md5(string_agg(%1$I::text, '','' ORDER BY %1$I::text COLLATE "C")), '''')) AS v FROM source', a.attname,
        format_type(a.atttypid, a.atttypmod) || CASE y.typtype WHEN 'd' THEN ' ' || format_type(y.typbasetype, y.typtypmod) ELSE '' END), ' UNION ALL ') INTO columns
      FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type y ON y.oid = a.atttypid WHERE a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '';
    EXECUTE format('WITH source AS (SELECT *, tableoid = %s AS "~own" FROM %s) SELECT json_build_object(''kind'', %L, ''root'', %L, ''only'', (SELECT count(*) FILTER (WHERE "~own") FROM source), '
      '''all'', (SELECT count(*) FROM source), ''columns'', coalesce((SELECT json_object_agg(c, v) FROM (%s) x), ''{}''))', t.oid, t.name, t.relkind, t.root,
      coalesce(columns, 'SELECT 1 AS c, 2 AS v WHERE false')) INTO one;
    every := every || jsonb_build_object(t.name, one);
  END LOOP;
  PERFORM set_config('offshoot.contents', every::text, false);
END $$;
RESET client_min_messages;
