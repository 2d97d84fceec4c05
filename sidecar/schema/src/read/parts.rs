//! Parts of objects, grants, comments and edges.

use super::queries::{Query, Shape, USER_SCHEMA, class};

pub(super) fn queries(major: u32) -> Vec<Query> {
    vec![
        Query::new("constraints", Shape::Facts(class::CONSTRAINT), constraints()),
        Query::new("indexes", Shape::Facts(class::CLASS), indexes(major)),
        Query::new("index aliases", Shape::Aliases, INDEX_ALIASES),
        Query::new("defaults", Shape::Facts(class::ATTRDEF), defaults()),
        Query::new("generated columns", Shape::Aliases, GENERATED),
        Query::new("triggers", Shape::Facts(class::TRIGGER), triggers()),
        Query::new("rules", Shape::Facts(class::REWRITE), rules()),
        Query::new("policies", Shape::Facts(class::POLICY), policies()),
        Query::new("inheritance", Shape::Facts(0), INHERITANCE),
        Query::new("sequence owners", Shape::Facts(0), SEQUENCE_OWNERS),
        Query::new("index roles", Shape::Facts(0), INDEX_ROLES),
    ]
}

/// What is said of objects and parts that are known by then.
pub(super) fn links() -> Vec<Query> {
    vec![
        Query::new("comments", Shape::Attributes, COMMENTS),
        Query::new("grants", Shape::Grants, grants()),
        Query::new("dependencies", Shape::Edges, EDGES),
    ]
}

/// Foreign keys that a partition has from its parent are left out: attaching makes them.
fn constraints() -> String {
    format!(
        "SELECT k.oid, 'constraint' AS kind, k.conname AS name, \
         CASE WHEN k.conrelid <> 0 THEN 1259 ELSE 1247 END AS of_class, \
         CASE WHEN k.conrelid <> 0 THEN k.conrelid ELSE k.contypid END AS of_oid, \
         CASE k.contype WHEN 'c' THEN 'check' WHEN 'p' THEN 'primaryKey' WHEN 'u' THEN 'unique' WHEN 'f' THEN 'foreignKey' \
           ELSE 'exclusion' END AS form, \
         pg_catalog.pg_get_constraintdef(k.oid) AS definition, \
         CASE WHEN k.coninhcount > 0 AND k.conparentid = 0 THEN 'true' END AS inherited, \
         CASE WHEN k.coninhcount > 0 AND k.conparentid = 0 AND k.conislocal THEN 'true' END AS local, \
         CASE WHEN k.contype IN ('p', 'u', 'x') AND NOT i.indisvalid THEN 'true' END AS invalid, \
         CASE WHEN k.contype IN ('p', 'u') THEN (SELECT pg_catalog.json_agg(a.attname ORDER BY u.ord) \
           FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY u (num, ord) \
           JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num) END AS \"columns[]\" \
         FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_namespace n ON n.oid = k.connamespace \
         LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = k.conindid AND k.contype IN ('p', 'u', 'x') \
         WHERE k.contype IN ('c', 'p', 'u', 'f', 'x') AND {USER_SCHEMA} AND NOT (k.contype = 'f' AND k.conparentid <> 0)"
    )
}

fn indexes(major: u32) -> String {
    let target = if major >= 17 { "a.attstattarget IS NOT NULL" } else { "a.attstattarget >= 0" };
    format!(
        "SELECT c.oid, 'index' AS kind, c.relname AS name, 1259 AS of_class, i.indrelid AS of_oid, \
         pg_catalog.pg_get_indexdef(c.oid) AS definition, \
         CASE WHEN i.indisunique THEN 'true' END AS is_unique, \
         s.spcname AS tablespace, \
         CASE WHEN NOT i.indisvalid AND c.relkind = 'i' THEN 'true' END AS invalid, \
         (SELECT pg_catalog.json_agg(pg_catalog.format('%s=%s', a.attnum, a.attstattarget) ORDER BY a.attnum) \
           FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND {target}) AS \"statistics[]\" \
         FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         LEFT JOIN pg_catalog.pg_tablespace s ON s.oid = c.reltablespace \
         WHERE {USER_SCHEMA} AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid = c.oid \
           AND k.contype IN ('p', 'u', 'x'))"
    )
}

const INDEX_ALIASES: &str = "SELECT 1259 AS class, k.conindid AS oid, 2606 AS of_class, k.oid AS of_oid, 0 AS of_sub \
    FROM pg_catalog.pg_constraint k WHERE k.contype IN ('p', 'u', 'x') AND k.conindid <> 0";

fn defaults() -> String {
    format!(
        "SELECT d.oid, 'default' AS kind, '' AS name, 1259 AS of_class, d.adrelid AS of_oid, d.adnum AS of_sub, \
         pg_catalog.pg_get_expr(d.adbin, d.adrelid) AS expression \
         FROM pg_catalog.pg_attrdef d JOIN pg_catalog.pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum \
         JOIN pg_catalog.pg_class c ON c.oid = d.adrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE a.attgenerated = '' AND NOT a.attisdropped AND {USER_SCHEMA}"
    )
}

const GENERATED: &str = "SELECT 2604 AS class, d.oid, 1259 AS of_class, d.adrelid AS of_oid, d.adnum AS of_sub \
    FROM pg_catalog.pg_attrdef d JOIN pg_catalog.pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum \
    WHERE a.attgenerated <> '' AND d.oid >= 16384";

/// Triggers that a partition has from its parent appear only where they are enabled differently.
fn triggers() -> String {
    format!(
        "SELECT t.oid, 'trigger' AS kind, t.tgname AS name, 1259 AS of_class, t.tgrelid AS of_oid, \
         pg_catalog.pg_get_triggerdef(t.oid) AS definition, \
         CASE t.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' WHEN 'A' THEN 'ENABLE ALWAYS' END AS enabled, \
         CASE WHEN t.tgconstraint <> 0 THEN 'true' END AS constraint_trigger, \
         CASE WHEN t.tgparentid <> 0 THEN 'true' END AS inherited \
         FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         LEFT JOIN pg_catalog.pg_trigger u ON u.oid = t.tgparentid \
         WHERE (NOT t.tgisinternal OR t.tgparentid <> 0 AND t.tgenabled <> u.tgenabled) \
         AND (t.tgparentid = 0 OR t.tgenabled <> u.tgenabled) AND {USER_SCHEMA}"
    )
}

fn rules() -> String {
    format!(
        "SELECT r.oid, 'rule' AS kind, r.rulename AS name, 1259 AS of_class, r.ev_class AS of_oid, \
         pg_catalog.pg_get_ruledef(r.oid) AS definition, \
         CASE r.ev_enabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' WHEN 'A' THEN 'ENABLE ALWAYS' END AS enabled \
         FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_class c ON c.oid = r.ev_class \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE r.rulename <> '_RETURN' AND {USER_SCHEMA}"
    )
}

fn policies() -> String {
    format!(
        "SELECT p.oid, 'policy' AS kind, p.polname AS name, 1259 AS of_class, p.polrelid AS of_oid, \
         CASE WHEN NOT p.polpermissive THEN 'true' END AS restrictive, \
         CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' END AS command, \
         (SELECT pg_catalog.json_agg(pg_catalog.quote_ident(o.rolname) ORDER BY o.rolname) FROM pg_catalog.pg_roles o \
           WHERE o.oid = ANY (p.polroles)) AS \"roles[]\", \
         pg_catalog.pg_get_expr(p.polqual, p.polrelid) AS \"using\", \
         pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) AS \"check\" \
         FROM pg_catalog.pg_policy p JOIN pg_catalog.pg_class c ON c.oid = p.polrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE {USER_SCHEMA}"
    )
}

/// `to_*` names the parent.
const INHERITANCE: &str = "\
    SELECT CASE WHEN c.relispartition THEN 'attachment' ELSE 'inheritance' END AS kind, \
    CASE WHEN c.relispartition THEN '' ELSE pg_catalog.format('%I.%I', pn.nspname, p.relname) END AS name, \
    1259 AS of_class, h.inhrelid AS of_oid, pg_catalog.format('%I.%I', pn.nspname, p.relname) AS parent, \
    CASE WHEN c.relispartition AND c.relkind NOT IN ('i', 'I') THEN pg_catalog.pg_get_expr(c.relpartbound, c.oid) END AS bound, \
    CASE WHEN NOT c.relispartition THEN h.inhseqno END AS position, 1259 AS to_class, h.inhparent AS to_oid \
    FROM pg_catalog.pg_inherits h JOIN pg_catalog.pg_class c ON c.oid = h.inhrelid \
    JOIN pg_catalog.pg_class p ON p.oid = h.inhparent JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace \
    WHERE h.inhrelid >= 16384";

const SEQUENCE_OWNERS: &str = "\
    SELECT 'sequenceOwner' AS kind, '' AS name, 1259 AS of_class, d.objid AS of_oid, \
    pg_catalog.format('%I.%I.%I', n.nspname, c.relname, a.attname) AS owned_by, \
    1259 AS to_class, d.refobjid AS to_oid, d.refobjsubid AS to_sub \
    FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S' \
    JOIN pg_catalog.pg_class c ON c.oid = d.refobjid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid \
    WHERE d.classid = 1259 AND d.refclassid = 1259 AND d.deptype = 'a' AND d.refobjsubid > 0";

const INDEX_ROLES: &str = "\
    SELECT 'tableIndexRole' AS kind, role.name, 1259 AS of_class, i.indrelid AS of_oid, c.relname AS index, \
    1259 AS to_class, i.indexrelid AS to_oid \
    FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
    JOIN pg_catalog.pg_class t ON t.oid = i.indrelid, \
    LATERAL (VALUES ('cluster', i.indisclustered), ('replicaIdentity', i.indisreplident AND t.relreplident = 'i')) role (name, \"on\") \
    WHERE role.\"on\" AND i.indexrelid >= 16384";

const COMMENTS: &str = "\
    SELECT d.classoid AS class, d.objoid AS oid, d.objsubid AS sub, 'comment' AS attribute, d.description AS value \
      FROM pg_catalog.pg_description d WHERE d.objoid >= 16384 OR d.classoid IN (2615, 3079) \
    UNION ALL SELECT classoid, objoid, objsubid, 'label ' || provider, label FROM pg_catalog.pg_seclabel";

/// Grants that differ from what Postgres gives by itself; a grantee without his usual privileges has an empty list.
fn grants() -> String {
    let explode = |acl: &str| {
        format!(
            "(SELECT x.grantor, x.grantee, pg_catalog.json_agg(x.privilege_type || CASE WHEN x.is_grantable THEN '*' ELSE '' END \
             ORDER BY x.privilege_type, x.is_grantable) AS privileges, min(x.ord) AS ord \
             FROM pg_catalog.aclexplode({acl}) WITH ORDINALITY x (grantor, grantee, privilege_type, is_grantable, ord) \
             GROUP BY x.grantor, x.grantee)"
        )
    };
    let source = |class: u32,
                  catalog: &str,
                  alias: &str,
                  acl: &str,
                  owner: &str,
                  default: &str,
                  more: &str| {
        format!(
            "SELECT {class} AS class, {alias}.oid, 0 AS sub, {acl} AS acl, {alias}.{owner} AS owner, {default} AS def \
             FROM pg_catalog.{catalog} {alias} WHERE {acl} IS NOT NULL{more}"
        )
    };
    let default =
        |kind: &str, alias: &str, owner: &str| format!("pg_catalog.acldefault({kind}, {alias}.{owner})");
    let sources = [
        source(class::NAMESPACE, "pg_namespace", "a", "a.nspacl", "nspowner", &default("'n'", "a", "nspowner"), ""),
        source(
            class::CLASS,
            "pg_class",
            "a",
            "a.relacl",
            "relowner",
            &default("CASE a.relkind WHEN 'S' THEN 's'::\"char\" ELSE 'r'::\"char\" END", "a", "relowner"),
            " AND a.oid >= 16384",
        ),
        source(class::PROC, "pg_proc", "a", "a.proacl", "proowner", &default("'f'", "a", "proowner"), " AND a.oid >= 16384"),
        source(class::TYPE, "pg_type", "a", "a.typacl", "typowner", &default("'T'", "a", "typowner"), " AND a.oid >= 16384"),
        source(class::LANGUAGE, "pg_language", "a", "a.lanacl", "lanowner", &default("'l'", "a", "lanowner"), " AND a.oid >= 16384"),
        source(class::FDW, "pg_foreign_data_wrapper", "a", "a.fdwacl", "fdwowner", &default("'F'", "a", "fdwowner"), ""),
        source(class::SERVER, "pg_foreign_server", "a", "a.srvacl", "srvowner", &default("'S'", "a", "srvowner"), ""),
        "SELECT 1259, a.attrelid, a.attnum, a.attacl, c.relowner, pg_catalog.acldefault('c', c.relowner) FROM pg_catalog.pg_attribute a \
         JOIN pg_catalog.pg_class c ON c.oid = a.attrelid WHERE a.attacl IS NOT NULL AND a.attrelid >= 16384 \
         AND NOT a.attisdropped"
            .to_owned(),
        "SELECT 826, a.oid, 0, a.defaclacl, a.defaclrole, CASE WHEN a.defaclnamespace = 0 THEN \
         pg_catalog.acldefault(CASE a.defaclobjtype WHEN 'S' THEN 's'::\"char\" ELSE a.defaclobjtype END, a.defaclrole) \
         ELSE pg_catalog.acldefault('c', a.defaclrole) END FROM pg_catalog.pg_default_acl a"
            .to_owned(),
    ];
    format!(
        "SELECT s.class, s.oid, s.sub, CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.pg_get_userbyid(g.grantee) END \
         AS grantee, CASE WHEN g.grantor <> s.owner THEN pg_catalog.pg_get_userbyid(g.grantor) END AS grantor, \
         CASE WHEN g.grantee = 0 THEN 'true' END AS public, \
         coalesce(g.privileges, '[]') AS \"privileges[]\", g.ord AS position \
         FROM ({}) s CROSS JOIN LATERAL (SELECT coalesce(have.grantee, was.grantee) AS grantee, \
           coalesce(have.grantor, was.grantor) AS grantor, have.privileges, have.ord \
           FROM {} have FULL JOIN {} was ON was.grantee = have.grantee AND was.grantor = have.grantor \
           WHERE have.privileges::text IS DISTINCT FROM was.privileges::text) g",
        sources.join(" UNION ALL "),
        explode("s.acl"),
        explode("s.def"),
    )
}

const EDGES: &str = "\
    SELECT classid AS class, objid AS oid, objsubid AS sub, refclassid AS to_class, refobjid AS to_oid, refobjsubid AS to_sub \
    FROM pg_catalog.pg_depend WHERE deptype IN ('n', 'a', 'i', 'x') AND refclassid <> 2615 AND objid >= 16384 \
    AND (refobjid >= 16384 OR refclassid = 3079)";
