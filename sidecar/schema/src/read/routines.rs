//! Functions, procedures, aggregates and operators.

use super::queries::{Query, Shape, USER_SCHEMA, class};

pub(super) fn queries(_major: u32) -> Vec<Query> {
    vec![
        Query::new("routines", Shape::Facts(class::PROC), routines()),
        Query::new("operator families", Shape::Facts(class::OPFAMILY), families()),
        Query::new("operators", Shape::Facts(class::OPERATOR), operators()),
        Query::new("operator classes", Shape::Facts(class::OPCLASS), classes()),
    ]
}

/// A routine's name carries the types of its input arguments; that is its identity in Postgres.
fn routines() -> String {
    format!(
        "SELECT p.oid, CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END AS kind, \
         n.nspname AS schema, \
         pg_catalog.quote_ident(p.proname) || '(' || (SELECT coalesce(pg_catalog.string_agg( \
           CASE WHEN p.prokind = 'p' AND p.proargmodes IS NOT NULL AND m.mode IN ('o', 't') THEN 'OUT ' ELSE '' END \
           || pg_catalog.format_type(m.typ, NULL), ', ' ORDER BY m.ord), '') \
           FROM ROWS FROM (pg_catalog.unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])), \
             pg_catalog.unnest(p.proargmodes)) WITH ORDINALITY m (typ, mode, ord) \
           WHERE m.mode IS NULL OR m.mode IN ('i', 'b', 'v') OR p.prokind = 'p' AND m.mode = 'o') || ')' AS name, \
         pg_catalog.quote_ident(p.proname) AS bare_name, \
         pg_catalog.pg_get_userbyid(p.proowner) AS owner, l.lanname AS language, \
         CASE WHEN p.prokind <> 'a' THEN pg_catalog.pg_get_functiondef(p.oid) END AS definition, \
         pg_catalog.pg_get_function_result(p.oid) AS result, \
         pg_catalog.pg_get_function_identity_arguments(p.oid) AS identity_arguments, \
         pg_catalog.pg_get_function_arguments(p.oid) AS arguments, \
         CASE WHEN p.prokind = 'w' THEN 'true' END AS is_window, \
         CASE p.proparallel WHEN 's' THEN 'SAFE' WHEN 'r' THEN 'RESTRICTED' END AS parallel, \
         a.* \
         FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
         JOIN pg_catalog.pg_language l ON l.oid = p.prolang \
         LEFT JOIN LATERAL (SELECT \
           a.aggtransfn::pg_catalog.regproc AS agg_transition, pg_catalog.format_type(a.aggtranstype, NULL) AS agg_type, \
           CASE WHEN a.aggtransspace > 0 THEN a.aggtransspace END AS agg_space, \
           nullif(a.aggfinalfn::oid, 0)::pg_catalog.regproc AS agg_final, CASE WHEN a.aggfinalextra THEN 'true' END AS agg_final_extra, \
           CASE a.aggfinalmodify WHEN 'r' THEN 'READ_ONLY' WHEN 's' THEN 'SHAREABLE' ELSE 'READ_WRITE' END AS agg_final_modify, \
           nullif(a.aggcombinefn::oid, 0)::pg_catalog.regproc AS agg_combine, \
           nullif(a.aggserialfn::oid, 0)::pg_catalog.regproc AS agg_serial, \
           nullif(a.aggdeserialfn::oid, 0)::pg_catalog.regproc AS agg_deserial, a.agginitval AS agg_initial, \
           nullif(a.aggmtransfn::oid, 0)::pg_catalog.regproc AS agg_moving_transition, \
           nullif(a.aggminvtransfn::oid, 0)::pg_catalog.regproc AS agg_moving_inverse, \
           CASE WHEN a.aggmtranstype <> 0 THEN pg_catalog.format_type(a.aggmtranstype, NULL) END AS agg_moving_type, \
           CASE WHEN a.aggmtransspace > 0 THEN a.aggmtransspace END AS agg_moving_space, \
           nullif(a.aggmfinalfn::oid, 0)::pg_catalog.regproc AS agg_moving_final, \
           CASE WHEN a.aggmfinalextra THEN 'true' END AS agg_moving_final_extra, \
           CASE a.aggmfinalmodify WHEN 'r' THEN 'READ_ONLY' WHEN 's' THEN 'SHAREABLE' ELSE 'READ_WRITE' END \
             AS agg_moving_final_modify, a.aggminitval AS agg_moving_initial, \
           (SELECT pg_catalog.format('OPERATOR(%I.%s)', son.nspname, so.oprname) FROM pg_catalog.pg_operator so \
             JOIN pg_catalog.pg_namespace son ON son.oid = so.oprnamespace WHERE so.oid = a.aggsortop) AS agg_sort, \
           CASE a.aggkind WHEN 'o' THEN 'ordered' WHEN 'h' THEN 'hypothetical' END AS agg_kind \
           FROM pg_catalog.pg_aggregate a WHERE a.aggfnoid = p.oid) a ON p.prokind = 'a' \
         WHERE {USER_SCHEMA} AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 1255 AND d.objid = p.oid \
           AND d.deptype = 'i' AND d.refclassid = 1247)"
    )
}

/// Where an operator named by `oid` stands, qualified.
fn operator(oid: &str) -> String {
    format!(
        "(SELECT pg_catalog.format('OPERATOR(%I.%s)', xn.nspname, x.oprname) FROM pg_catalog.pg_operator x \
         JOIN pg_catalog.pg_namespace xn ON xn.oid = x.oprnamespace WHERE x.oid = {oid})"
    )
}

fn operators() -> String {
    format!(
        "SELECT o.oid, 'operator' AS kind, n.nspname AS schema, o.oprname || ' (' || \
         coalesce(pg_catalog.format_type(nullif(o.oprleft, 0), NULL), 'NONE') || ', ' || \
         coalesce(pg_catalog.format_type(nullif(o.oprright, 0), NULL), 'NONE') || ')' AS name, o.oprname AS symbol, \
         pg_catalog.pg_get_userbyid(o.oprowner) AS owner, \
         nullif(o.oprcode::oid, 0)::pg_catalog.regproc AS function, pg_catalog.format_type(nullif(o.oprleft, 0), NULL) AS left, \
         pg_catalog.format_type(nullif(o.oprright, 0), NULL) AS right, {} AS commutator, {} AS negator, \
         nullif(o.oprrest::oid, 0)::pg_catalog.regproc AS restrict, nullif(o.oprjoin::oid, 0)::pg_catalog.regproc AS join, \
         CASE WHEN o.oprcanhash THEN 'true' END AS hashes, CASE WHEN o.oprcanmerge THEN 'true' END AS merges \
         FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace WHERE {USER_SCHEMA} \
         AND o.oprcode <> 0",
        operator("o.oprcom"),
        operator("o.oprnegate"),
    )
    .replace("AS left,", "AS \"left\",")
    .replace("AS right,", "AS \"right\",")
    .replace("AS join,", "AS \"join\",")
}

/// The operators and functions of the class or family that `depends` names.
fn members(class: u32, oid: &str, depends: &str) -> String {
    format!(
        "(SELECT pg_catalog.json_agg(line ORDER BY line) FROM ( \
         SELECT pg_catalog.format('OPERATOR %s %I.%s (%s, %s)%s', ao.amopstrategy, opn.nspname, op.oprname, \
           pg_catalog.format_type(ao.amoplefttype, NULL), pg_catalog.format_type(ao.amoprighttype, NULL), \
           CASE WHEN ao.amoppurpose = 'o' THEN pg_catalog.format(' FOR ORDER BY %I.%I', sfn.nspname, sf.opfname) ELSE '' END) AS line \
         FROM pg_catalog.pg_amop ao JOIN pg_catalog.pg_operator op ON op.oid = ao.amopopr \
         JOIN pg_catalog.pg_namespace opn ON opn.oid = op.oprnamespace \
         LEFT JOIN pg_catalog.pg_opfamily sf ON sf.oid = ao.amopsortfamily \
         LEFT JOIN pg_catalog.pg_namespace sfn ON sfn.oid = sf.opfnamespace \
         JOIN pg_catalog.pg_depend d ON d.classid = 2602 AND d.objid = ao.oid AND d.refclassid = {class} AND d.refobjid = {oid} \
         AND d.deptype = '{depends}' \
         UNION ALL SELECT pg_catalog.format('FUNCTION %s (%s, %s) %s', ap.amprocnum, \
           pg_catalog.format_type(ap.amproclefttype, NULL), pg_catalog.format_type(ap.amprocrighttype, NULL), \
           ap.amproc::oid::pg_catalog.regprocedure) \
         FROM pg_catalog.pg_amproc ap \
         JOIN pg_catalog.pg_depend d ON d.classid = 2603 AND d.objid = ap.oid AND d.refclassid = {class} AND d.refobjid = {oid} \
         AND d.deptype = '{depends}') AS every)"
    )
}

fn families() -> String {
    format!(
        "SELECT f.oid, 'operatorFamily' AS kind, n.nspname AS schema, f.opfname AS name, am.amname AS method, \
         pg_catalog.pg_get_userbyid(f.opfowner) AS owner, {} AS \"members[]\" \
         FROM pg_catalog.pg_opfamily f JOIN pg_catalog.pg_namespace n ON n.oid = f.opfnamespace \
         JOIN pg_catalog.pg_am am ON am.oid = f.opfmethod WHERE {USER_SCHEMA}",
        members(class::OPFAMILY, "f.oid", "a"),
    )
}

fn classes() -> String {
    format!(
        "SELECT c.oid, 'operatorClass' AS kind, n.nspname AS schema, c.opcname AS name, am.amname AS method, \
         pg_catalog.pg_get_userbyid(c.opcowner) AS owner, pg_catalog.format_type(c.opcintype, NULL) AS type, \
         CASE WHEN c.opcdefault THEN 'true' END AS is_default, \
         pg_catalog.format('%I.%I', fn.nspname, f.opfname) AS family, \
         CASE WHEN c.opckeytype <> 0 THEN pg_catalog.format_type(c.opckeytype, NULL) END AS storage, {} AS \"members[]\" \
         FROM pg_catalog.pg_opclass c JOIN pg_catalog.pg_namespace n ON n.oid = c.opcnamespace \
         JOIN pg_catalog.pg_am am ON am.oid = c.opcmethod \
         JOIN pg_catalog.pg_opfamily f ON f.oid = c.opcfamily \
         JOIN pg_catalog.pg_namespace fn ON fn.oid = f.opfnamespace WHERE {USER_SCHEMA}",
        members(class::OPCLASS, "c.oid", "i"),
    )
}
