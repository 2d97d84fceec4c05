SET client_min_messages = error;
DO $$ DECLARE t record; c record; names text; vals text; v text; checks text; literal text; bound text; base oid; mods int; done oid[] := '{}';
  progress boolean := true; ok boolean; keys int2[];
BEGIN
  WHILE progress LOOP
    progress := false;
    FOR t IN SELECT r.oid, r.relkind, r.relispartition, r.oid::regclass AS name FROM pg_class r JOIN pg_namespace n ON n.oid = r.relnamespace
        WHERE r.relkind IN ('r', 'p') AND NOT (r.relkind = 'p' AND r.relispartition) AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
        AND r.oid <> ALL (done) ORDER BY r.oid LOOP
      SELECT string_agg(pg_get_constraintdef(k.oid), ' ') INTO checks FROM pg_constraint k WHERE k.conrelid = t.oid AND k.contype = 'c';
      SELECT pg_get_expr(r.relpartbound, r.oid), p.partattrs::int2[] INTO bound, keys FROM pg_class r LEFT JOIN pg_inherits h ON h.inhrelid = r.oid
        LEFT JOIN pg_partitioned_table p ON p.partrelid = h.inhparent WHERE r.oid = t.oid AND r.relispartition;
      FOR round IN 1..2 LOOP
        ok := false;
        FOR profile IN 0..4 LOOP
          names := NULL; vals := NULL;
          FOR c IN SELECT a.attname, a.attnum, a.atttypid, a.atttypmod, a.attnotnull, format_type(a.atttypid, a.atttypmod) AS type
              FROM pg_attribute a WHERE a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum LOOP
            base := c.atttypid;
            WHILE (SELECT typtype FROM pg_type WHERE oid = base) = 'd' LOOP SELECT typbasetype INTO base FROM pg_type WHERE oid = base; END LOOP;
            literal := NULL;
            IF checks IS NOT NULL THEN literal := (regexp_match(checks, '''([^'']*)''::'))[1]; END IF;
            SELECT CASE
                WHEN x.typtype = 'e' THEN (SELECT enumlabel FROM pg_enum WHERE enumtypid = x.oid ORDER BY enumsortorder LIMIT 1)
                WHEN x.typtype = 'r' OR x.typtype = 'm' THEN CASE x.typtype WHEN 'r' THEN 'empty' ELSE '{}' END
                WHEN x.typcategory = 'A' THEN '{}'
                WHEN x.typcategory = 'B' THEN 'true'
                WHEN x.typcategory = 'N' THEN (CASE profile WHEN 1 THEN 10 * round WHEN 2 THEN 100 + round WHEN 3 THEN 20 ELSE round END)::text
                WHEN x.typname = 'timetz' OR x.typname = 'time' THEN '01:00'
                WHEN x.typcategory = 'D' THEN CASE profile WHEN 1 THEN '2023-06-0' WHEN 2 THEN '2030-01-0' ELSE '2024-01-0' END || round
                WHEN x.typname = 'uuid' THEN '00000000-0000-0000-0000-00000000000' || round
                WHEN x.typcategory = 'S' THEN CASE WHEN profile = 4 AND literal IS NOT NULL THEN literal
                  WHEN profile = 1 THEN 'user' || round || '@example.com' WHEN profile = 2 THEN 'active' WHEN profile = 3 THEN 'abcdefgh' || round
                  ELSE chr(96 + round) END
                WHEN x.typcategory = 'T' THEN '1 day'
                WHEN x.typcategory = 'I' THEN '10.0.0.' || round
                WHEN x.typname IN ('json', 'jsonb') THEN '{}'
                WHEN x.typname IN ('bytea', 'tsvector') THEN 'a'
                WHEN x.typname = 'point' THEN '(1,1)' WHEN x.typname = 'bit' OR x.typname = 'varbit' THEN '1' END INTO v
              FROM pg_type x WHERE x.oid = base;
            IF bound IS NOT NULL AND c.attnum = ANY (keys) THEN
              v := coalesce((regexp_match((regexp_split_to_array(substring(bound FROM '(?:FROM|IN) \((.*?)\)'), ', '))
                [CASE WHEN bound ~ ' IN ' THEN 1 ELSE array_position(keys, c.attnum) - array_lower(keys, 1) + 1 END], '^''?(.*?)''?$'))[1], v);
            END IF;
            IF v IS NOT NULL THEN
              names := concat_ws(', ', names, quote_ident(c.attname));
              vals := concat_ws(', ', vals, quote_literal(v) || '::' || c.type);
            END IF;
          END LOOP;
          BEGIN
            IF names IS NULL THEN EXECUTE format('INSERT INTO %s DEFAULT VALUES', t.name);
            ELSE EXECUTE format('INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE VALUES (%s)', t.name, names, vals); END IF;
            ok := true;
          EXCEPTION WHEN OTHERS THEN NULL; END;
          EXIT WHEN ok;
        END LOOP;
        IF ok AND round = 1 THEN progress := true; done := done || t.oid; END IF;
        EXIT WHEN NOT ok;
      END LOOP;
    END LOOP;
  END LOOP;
END $$;
RESET client_min_messages;
