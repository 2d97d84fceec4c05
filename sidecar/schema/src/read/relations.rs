//! Tables, views, sequences and types.

use super::queries::{Query, Shape, USER_SCHEMA, class};

pub(super) fn queries(major: u32) -> Vec<Query> {
    vec![
        Query::new("types", Shape::Facts(class::TYPE), types(major)),
        Query::new("relations", Shape::Facts(class::CLASS), relations()),
        Query::new("sequences", Shape::Facts(class::CLASS), sequences()),
        Query::new("columns", Shape::Facts(class::CLASS), columns(major)),
        Query::new("identity columns", Shape::More, identities()),
        Query::new("not null constraints", Shape::More, not_null(major)),
        Query::new("aliases", Shape::Aliases, ALIASES),
    ]
}

fn relations() -> String {
    format!(
        "SELECT c.oid, 2 + 0 * c.relnatts AS \"~\", n.nspname AS schema, c.relname AS name, \
         CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materializedView' WHEN 'f' THEN 'foreignTable' \
           ELSE 'table' END AS kind, \
         1247 AS also_class, c.reltype AS also_oid, \
         pg_catalog.pg_get_userbyid(c.relowner) AS owner, \
         CASE c.relpersistence WHEN 'u' THEN 'true' END AS unlogged, \
         pg_catalog.array_to_json(c.reloptions) AS \"options[]\", \
         pg_catalog.array_to_json(t.reloptions) AS \"toast_options[]\", \
         CASE WHEN a.amname <> 'heap' THEN a.amname END AS access_method, \
         s.spcname AS tablespace, \
         CASE WHEN c.relrowsecurity THEN 'true' END AS row_security, \
         CASE WHEN c.relforcerowsecurity THEN 'true' END AS force_row_security, \
         CASE WHEN c.relkind NOT IN ('r', 'p', 'm') THEN NULL WHEN c.relreplident = 'f' THEN 'FULL' \
           WHEN c.relreplident = 'n' THEN 'NOTHING' END AS replica_identity, \
         CASE WHEN c.relkind = 'p' THEN pg_catalog.pg_get_partkeydef(c.oid) END AS partition_key, \
         CASE WHEN c.reloftype <> 0 THEN pg_catalog.format_type(c.reloftype, NULL) END AS of_type, \
         CASE WHEN c.relkind IN ('v', 'm') THEN pg_catalog.pg_get_viewdef(c.oid) END AS definition, \
         CASE WHEN c.relkind = 'm' AND NOT c.relispopulated THEN 'true' END AS unpopulated, \
         fs.srvname AS server, {} AS \"foreign_options[]\" \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         LEFT JOIN pg_catalog.pg_class t ON t.oid = c.reltoastrelid \
         LEFT JOIN pg_catalog.pg_am a ON a.oid = c.relam \
         LEFT JOIN pg_catalog.pg_tablespace s ON s.oid = c.reltablespace \
         LEFT JOIN pg_catalog.pg_foreign_table ft ON ft.ftrelid = c.oid \
         LEFT JOIN pg_catalog.pg_foreign_server fs ON fs.oid = ft.ftserver \
         WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND {USER_SCHEMA}",
        options("ft.ftoptions")
    )
    .replace("2 + 0 * c.relnatts AS \"~\", ", "")
}

/// Options of foreign things, `name 'value'` each.
pub(super) fn options(column: &str) -> String {
    format!(
        "(CASE WHEN {column} IS NOT NULL THEN (SELECT pg_catalog.json_agg(pg_catalog.quote_ident(option_name) || ' ' || \
         pg_catalog.quote_literal(option_value) ORDER BY option_name) \
         FROM pg_catalog.pg_options_to_table({column})) END)"
    )
}

/// What is given for a sequence beyond Postgres's defaults.
const SEQUENCE: &str = "\
    CASE WHEN q.seqtypid <> 20 THEN pg_catalog.format_type(q.seqtypid, NULL) END AS sequence_type, \
    q.seqstart AS sequence_start, q.seqincrement AS sequence_increment, \
    CASE WHEN q.seqmin <> CASE WHEN q.seqincrement > 0 THEN 1 ELSE lim.low END THEN q.seqmin END AS sequence_min, \
    CASE WHEN q.seqmax <> CASE WHEN q.seqincrement > 0 THEN lim.high ELSE -1 END THEN q.seqmax END AS sequence_max, \
    CASE WHEN q.seqcache <> 1 THEN q.seqcache END AS sequence_cache, \
    CASE WHEN q.seqcycle THEN 'true' END AS sequence_cycle";

const LIMITS: &str = "LEFT JOIN (VALUES (20, (-9223372036854775808)::bigint, 9223372036854775807), \
    (23, -2147483648, 2147483647), (21, -32768, 32767)) lim (typid, low, high) ON lim.typid = q.seqtypid::int8";

fn sequences() -> String {
    format!(
        "SELECT c.oid, 'sequence' AS kind, n.nspname AS schema, c.relname AS name, \
         pg_catalog.pg_get_userbyid(c.relowner) AS owner, \
         CASE c.relpersistence WHEN 'u' THEN 'true' END AS unlogged, {SEQUENCE} \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_sequence q ON q.seqrelid = c.oid {LIMITS} \
         WHERE c.relkind = 'S' AND {USER_SCHEMA} AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d \
           WHERE d.classid = 1259 AND d.objid = c.oid AND d.refclassid = 1259 AND d.deptype = 'i')"
    )
}

/// Options that people set. Minor versions of late 2026 keep a number of their own among them, which `pg_dump` leaves out, too.
const ATTRIBUTE_OPTIONS: &str = "\
    CASE WHEN a.attoptions IS NOT NULL AND NOT (pg_catalog.cardinality(a.attoptions) = 1 AND a.attoptions[1] ^@ 'pg_attver=') THEN \
      (SELECT pg_catalog.json_agg(o ORDER BY o) FROM pg_catalog.unnest(a.attoptions) o WHERE NOT o ^@ 'pg_attver=') END";

fn columns(major: u32) -> String {
    let target = if major >= 17 { "a.attstattarget" } else { "nullif(a.attstattarget, -1)" };
    format!(
        "SELECT a.attrelid AS oid, a.attnum AS sub, 'column' AS kind, a.attname AS name, \
         CASE WHEN c.relkind = 'c' THEN 1247 ELSE 1259 END AS of_class, \
         CASE WHEN c.relkind = 'c' THEN c.reltype ELSE a.attrelid END AS of_oid, \
         pg_catalog.row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum) AS position, pg_catalog.format_type(a.atttypid, a.atttypmod) AS type, \
         CASE WHEN a.attnotnull AND c.relkind <> 'c' THEN 'true' END AS not_null, \
         CASE WHEN a.attcollation <> t.typcollation THEN pg_catalog.format('%I.%I', cn.nspname, co.collname) END AS collation, \
         CASE WHEN a.attinhcount > 0 THEN 'true' END AS inherited, \
         CASE WHEN a.attinhcount > 0 AND a.attislocal THEN 'true' END AS local, \
         CASE a.attidentity WHEN 'a' THEN 'ALWAYS' WHEN 'd' THEN 'BY DEFAULT' END AS identity, \
         CASE a.attgenerated WHEN 's' THEN 'STORED' WHEN 'v' THEN 'VIRTUAL' END AS generated, \
         CASE WHEN a.attgenerated <> '' THEN pg_catalog.pg_get_expr(ad.adbin, ad.adrelid) END AS expression, \
         CASE WHEN a.attstorage <> t.typstorage AND c.relkind IN ('r', 'p', 'f', 'm') THEN \
           CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END \
           END AS storage, \
         CASE a.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END AS compression, \
         {target} AS statistics, \
         {ATTRIBUTE_OPTIONS} AS \"options[]\", {} AS \"foreign_options[]\" \
         FROM pg_catalog.pg_attribute a \
         JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
         LEFT JOIN pg_catalog.pg_collation co ON co.oid = a.attcollation \
         LEFT JOIN pg_catalog.pg_namespace cn ON cn.oid = co.collnamespace \
         LEFT JOIN pg_catalog.pg_attrdef ad ON ad.adrelid = a.attrelid AND ad.adnum = a.attnum AND a.attgenerated <> '' \
         WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND {USER_SCHEMA}",
        options("a.attfdwoptions")
    )
}

/// The sequences of identity columns. Apart from the columns, because the planner would take long ways to join them.
fn identities() -> String {
    format!(
        "SELECT 1259 AS class, d.refobjid AS oid, d.refobjsubid AS sub, \
         pg_catalog.format('%I.%I', n.nspname, c.relname) AS sequence_name, {SEQUENCE} \
         FROM pg_catalog.pg_sequence q JOIN pg_catalog.pg_class c ON c.oid = q.seqrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_depend d ON d.classid = 1259 AND d.objid = q.seqrelid AND d.refclassid = 1259 AND d.deptype = 'i' \
         JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid AND a.attidentity <> '' {LIMITS}"
    )
}

/// Names and validity of the constraints that Postgres 18 and later have for columns that are not null.
fn not_null(major: u32) -> &'static str {
    if major < 18 {
        return "SELECT 1 WHERE false";
    }
    "SELECT 1259 AS class, a.attrelid AS oid, a.attnum AS sub, \
     CASE WHEN NOT k.convalidated THEN 'true' END AS not_null_not_valid, \
     CASE WHEN k.connoinherit THEN 'true' END AS not_null_no_inherit, k.conname AS not_null_name \
     FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1] \
     WHERE k.contype = 'n' AND a.attnotnull AND k.conrelid >= 16384"
}

/// Identity sequences stand for their columns, a view's rule for the view, array types for their elements,
/// the class of a composite type for the type.
const ALIASES: &str = "\
    SELECT 1259 AS class, d.objid AS oid, 1259 AS of_class, d.refobjid AS of_oid, d.refobjsubid AS of_sub \
      FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class c ON c.oid = d.objid AND c.relkind = 'S' \
      WHERE d.classid = 1259 AND d.refclassid = 1259 AND d.deptype = 'i' \
    UNION ALL SELECT 2618, r.oid, 1259, r.ev_class, 0 FROM pg_catalog.pg_rewrite r \
      WHERE r.rulename = '_RETURN' AND r.oid >= 16384 \
    UNION ALL SELECT 1247, t.typarray, 1247, t.oid, 0 FROM pg_catalog.pg_type t \
      WHERE t.typarray <> 0 AND t.oid >= 16384 \
    UNION ALL SELECT 1247, r.rngmultitypid, 1247, r.rngtypid, 0 FROM pg_catalog.pg_range r \
      WHERE r.rngtypid >= 16384 \
    UNION ALL SELECT 1259, c.oid, 1247, c.reltype, 0 FROM pg_catalog.pg_class c \
      WHERE c.relkind = 'c' AND c.oid >= 16384";

fn types(major: u32) -> String {
    let subscript =
        "CASE WHEN t.typsubscript <> 0 THEN t.typsubscript::pg_catalog.regproc END AS base_subscript";
    let _ = major;
    format!(
        "SELECT t.oid, CASE t.typtype WHEN 'd' THEN 'domain' ELSE 'type' END AS kind, \
         n.nspname AS schema, t.typname AS name, pg_catalog.pg_get_userbyid(t.typowner) AS owner, \
         CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'c' THEN 'composite' WHEN 'r' THEN 'range' WHEN 'b' THEN 'base' \
           WHEN 'p' THEN 'shell' END AS form, \
         CASE WHEN t.typtype = 'e' THEN coalesce((SELECT pg_catalog.json_agg(e.enumlabel ORDER BY e.enumsortorder) \
           FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid), '[]') END AS \"labels[]\", \
         CASE WHEN t.typtype = 'd' THEN pg_catalog.format_type(t.typbasetype, t.typtypmod) END AS base_type, \
         CASE WHEN t.typtype = 'd' AND t.typnotnull THEN 'true' END AS not_null, \
         CASE WHEN t.typtype = 'd' THEN coalesce(pg_catalog.pg_get_expr(t.typdefaultbin, 0), t.typdefault) END AS \"default\", \
         CASE WHEN t.typtype = 'd' AND t.typcollation <> bt.typcollation THEN pg_catalog.format('%I.%I', cn.nspname, co.collname) \
           END AS collation, \
         CASE WHEN r.rngtypid IS NOT NULL THEN pg_catalog.format_type(r.rngsubtype, NULL) END AS range_subtype, \
         CASE WHEN NOT oc.opcdefault THEN pg_catalog.format('%I.%I', ocn.nspname, oc.opcname) END AS range_opclass, \
         CASE WHEN r.rngcollation <> rst.typcollation THEN pg_catalog.format('%I.%I', rcn.nspname, rco.collname) END AS range_collation, \
         CASE WHEN r.rngcanonical <> 0 THEN r.rngcanonical::pg_catalog.regproc END AS range_canonical, \
         CASE WHEN r.rngsubdiff <> 0 THEN r.rngsubdiff::pg_catalog.regproc END AS range_diff, \
         CASE WHEN mt.oid IS NOT NULL THEN pg_catalog.format('%I.%I', mn.nspname, mt.typname) END AS range_multirange, \
         b.*, {subscript} \
         FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace \
         LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid \
         LEFT JOIN pg_catalog.pg_type bt ON bt.oid = t.typbasetype \
         LEFT JOIN pg_catalog.pg_collation co ON co.oid = t.typcollation \
         LEFT JOIN pg_catalog.pg_namespace cn ON cn.oid = co.collnamespace \
         LEFT JOIN pg_catalog.pg_range r ON r.rngtypid = t.oid \
         LEFT JOIN pg_catalog.pg_type rst ON rst.oid = r.rngsubtype \
         LEFT JOIN pg_catalog.pg_opclass oc ON oc.oid = r.rngsubopc \
         LEFT JOIN pg_catalog.pg_namespace ocn ON ocn.oid = oc.opcnamespace \
         LEFT JOIN pg_catalog.pg_collation rco ON rco.oid = r.rngcollation \
         LEFT JOIN pg_catalog.pg_namespace rcn ON rcn.oid = rco.collnamespace \
         LEFT JOIN pg_catalog.pg_type mt ON mt.oid = r.rngmultitypid \
         LEFT JOIN pg_catalog.pg_namespace mn ON mn.oid = mt.typnamespace \
         LEFT JOIN LATERAL (SELECT t.typinput::pg_catalog.regproc AS base_input, t.typoutput::pg_catalog.regproc AS base_output, \
           nullif(t.typreceive::oid, 0)::pg_catalog.regproc AS base_receive, nullif(t.typsend::oid, 0)::pg_catalog.regproc AS base_send, \
           nullif(t.typmodin::oid, 0)::pg_catalog.regproc AS base_typmod_in, nullif(t.typmodout::oid, 0)::pg_catalog.regproc AS base_typmod_out, \
           nullif(t.typanalyze::oid, 0)::pg_catalog.regproc AS base_analyze, t.typlen AS base_length, \
           CASE WHEN t.typbyval THEN 'true' END AS base_by_value, t.typalign AS base_alignment, t.typstorage AS base_storage, \
           t.typcategory AS base_category, CASE WHEN t.typispreferred THEN 'true' END AS base_preferred, \
           CASE WHEN t.typdelim <> ',' THEN t.typdelim END AS base_delimiter, \
           nullif(pg_catalog.format_type(nullif(t.typelem, 0), NULL), '-') AS base_element, t.typdefault AS base_default, \
           CASE WHEN t.typcollation <> 0 THEN 'true' END AS base_collatable) b ON t.typtype = 'b' \
         WHERE {USER_SCHEMA} AND (t.typtype IN ('e', 'd', 'r') OR t.typtype = 'c' AND c.relkind = 'c' \
           OR t.typtype = 'p' AND NOT t.typisdefined \
           OR t.typtype = 'b' AND NOT EXISTS (SELECT FROM pg_catalog.pg_type e WHERE e.oid = t.typelem AND e.typarray = t.oid))"
    )
    .replace("AS base_subscript", "AS base_subscript")
    .replace("CASE WHEN t.typsubscript <> 0 THEN", "CASE WHEN t.typtype = 'b' AND t.typsubscript <> 0 THEN")
}
