//! The rarer objects. Those whose statement can be said in one piece have it as `definition`, and statements that
//! follow it as `more`.

use super::queries::{Query, Shape, USER_SCHEMA, class};
use super::relations::options;
use crate::unread::MAPPING_OPTIONS;

pub(super) fn queries(major: u32) -> Vec<Query> {
    vec![
        Query::new("collations", Shape::Facts(class::COLLATION), collations(major)),
        Query::new("conversions", Shape::Facts(class::CONVERSION), conversions()),
        Query::new("languages", Shape::Facts(class::LANGUAGE), LANGUAGES),
        Query::new("casts", Shape::Facts(class::CAST), CASTS),
        Query::new("transforms", Shape::Facts(class::TRANSFORM), TRANSFORMS),
        Query::new("access methods", Shape::Facts(class::ACCESS_METHOD), ACCESS_METHODS),
        Query::new("text search parsers", Shape::Facts(class::TS_PARSER), parsers()),
        Query::new("text search templates", Shape::Facts(class::TS_TEMPLATE), templates()),
        Query::new("text search dictionaries", Shape::Facts(class::TS_DICT), dictionaries()),
        Query::new("text search configurations", Shape::Facts(class::TS_CONFIG), configurations()),
        Query::new("statistics", Shape::Facts(class::STATISTIC), statistics(major)),
        Query::new("event triggers", Shape::Facts(class::EVENT_TRIGGER), EVENT_TRIGGERS),
        Query::new("foreign data wrappers", Shape::Facts(class::FDW), wrappers()),
        Query::new("servers", Shape::Facts(class::SERVER), servers()),
        Query::new("user mappings", Shape::Facts(class::USER_MAPPING), user_mappings()),
        Query::new(MAPPING_OPTIONS, Shape::Unread, hidden_mapping_options()),
        Query::new("publications", Shape::Facts(class::PUBLICATION), publications(major)),
        Query::new("publication tables", Shape::Facts(class::PUBLICATION_REL), publication_tables(major)),
        Query::new(
            "publication schemas",
            Shape::Facts(class::PUBLICATION_NAMESPACE),
            publication_schemas(major),
        ),
        Query::new("subscriptions", Shape::Facts(class::SUBSCRIPTION), SUBSCRIPTIONS),
        Query::new("default privileges", Shape::Facts(class::DEFAULT_ACL), DEFAULT_PRIVILEGES),
        Query::new("roles", Shape::Facts(0), ROLES),
        Query::new("unmodelled objects", Shape::Counts, COUNTS),
    ]
}

fn collations(major: u32) -> String {
    let locale = match major {
        17.. => "c.colllocale",
        15..=16 => "c.colliculocale",
        _ => "CASE WHEN c.collprovider = 'i' THEN c.collcollate END",
    };
    let rules = if major >= 16 { "c.collicurules" } else { "NULL" };
    format!(
        "SELECT c.oid, 'collation' AS kind, n.nspname AS schema, c.collname AS name, \
         pg_catalog.pg_get_userbyid(c.collowner) AS owner, c.collversion AS version, \
         pg_catalog.format('CREATE COLLATION %I.%I (provider = %s%s%s%s)', n.nspname, c.collname, \
           CASE c.collprovider WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE 'libc' END, \
           CASE WHEN NOT c.collisdeterministic THEN ', deterministic = false' ELSE '' END, \
           CASE WHEN {locale} IS NOT NULL THEN pg_catalog.format(', locale = %L', {locale}) \
             WHEN c.collcollate = c.collctype THEN pg_catalog.format(', locale = %L', c.collcollate) \
             ELSE pg_catalog.format(', lc_collate = %L, lc_ctype = %L', c.collcollate, c.collctype) END, \
           CASE WHEN {rules} IS NOT NULL THEN pg_catalog.format(', rules = %L', {rules}) ELSE '' END) AS definition \
         FROM pg_catalog.pg_collation c JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace WHERE {USER_SCHEMA}"
    )
}

fn conversions() -> String {
    format!(
        "SELECT c.oid, 'conversion' AS kind, n.nspname AS schema, c.conname AS name, \
         pg_catalog.pg_get_userbyid(c.conowner) AS owner, \
         pg_catalog.format('CREATE %sCONVERSION %I.%I FOR %L TO %L FROM %s', \
           CASE WHEN c.condefault THEN 'DEFAULT ' ELSE '' END, n.nspname, c.conname, \
           pg_catalog.pg_encoding_to_char(c.conforencoding), pg_catalog.pg_encoding_to_char(c.contoencoding), c.conproc) AS definition \
         FROM pg_catalog.pg_conversion c JOIN pg_catalog.pg_namespace n ON n.oid = c.connamespace WHERE {USER_SCHEMA}"
    )
}

const LANGUAGES: &str = "\
    SELECT l.oid, 'language' AS kind, l.lanname AS name, pg_catalog.pg_get_userbyid(l.lanowner) AS owner, \
    pg_catalog.format('CREATE %sLANGUAGE %I HANDLER %s%s%s', CASE WHEN l.lanpltrusted THEN 'TRUSTED ' ELSE '' END, \
      l.lanname, l.lanplcallfoid::pg_catalog.regproc, \
      CASE WHEN l.laninline <> 0 THEN ' INLINE ' || l.laninline::pg_catalog.regproc::text ELSE '' END, \
      CASE WHEN l.lanvalidator <> 0 THEN ' VALIDATOR ' || l.lanvalidator::pg_catalog.regproc::text ELSE '' END) AS definition \
    FROM pg_catalog.pg_language l WHERE l.lanispl AND l.oid >= 16384";

const CASTS: &str = "\
    SELECT c.oid, 'cast' AS kind, x.name, pg_catalog.format('CREATE CAST %s %s%s', x.name, \
      CASE c.castmethod WHEN 'f' THEN 'WITH FUNCTION ' || c.castfunc::pg_catalog.regprocedure::text \
        WHEN 'i' THEN 'WITH INOUT' ELSE 'WITHOUT FUNCTION' END, \
      CASE c.castcontext WHEN 'a' THEN ' AS ASSIGNMENT' WHEN 'i' THEN ' AS IMPLICIT' ELSE '' END) AS definition \
    FROM pg_catalog.pg_cast c, LATERAL (SELECT pg_catalog.format('(%s AS %s)', pg_catalog.format_type(c.castsource, NULL), \
      pg_catalog.format_type(c.casttarget, NULL)) AS name) x WHERE c.oid >= 16384 \
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 2605 AND d.objid = c.oid AND d.deptype = 'i')";

const TRANSFORMS: &str = "\
    SELECT t.oid, 'transform' AS kind, x.name, pg_catalog.format('CREATE TRANSFORM %s (%s)', x.name, pg_catalog.concat_ws(', ', \
      CASE WHEN t.trffromsql <> 0 THEN 'FROM SQL WITH FUNCTION ' || t.trffromsql::oid::pg_catalog.regprocedure::text END, \
      CASE WHEN t.trftosql <> 0 THEN 'TO SQL WITH FUNCTION ' || t.trftosql::oid::pg_catalog.regprocedure::text END)) AS definition \
    FROM pg_catalog.pg_transform t JOIN pg_catalog.pg_language l ON l.oid = t.trflang, \
    LATERAL (SELECT pg_catalog.format('FOR %s LANGUAGE %I', pg_catalog.format_type(t.trftype, NULL), l.lanname) AS name) x \
    WHERE t.oid >= 16384";

const ACCESS_METHODS: &str = "\
    SELECT a.oid, 'accessMethod' AS kind, a.amname AS name, pg_catalog.format('CREATE ACCESS METHOD %I TYPE %s HANDLER %s', \
      a.amname, CASE a.amtype WHEN 't' THEN 'TABLE' ELSE 'INDEX' END, a.amhandler) AS definition \
    FROM pg_catalog.pg_am a WHERE a.oid >= 16384";

fn parsers() -> String {
    format!(
        "SELECT p.oid, 'textSearchParser' AS kind, n.nspname AS schema, p.prsname AS name, \
         pg_catalog.format('CREATE TEXT SEARCH PARSER %I.%I (START = %s, GETTOKEN = %s, END = %s, LEXTYPES = %s%s)', n.nspname, \
           p.prsname, p.prsstart, p.prstoken, p.prsend, p.prslextype, \
           CASE WHEN p.prsheadline::oid <> 0 THEN ', HEADLINE = ' || p.prsheadline::text ELSE '' END) AS definition \
         FROM pg_catalog.pg_ts_parser p JOIN pg_catalog.pg_namespace n ON n.oid = p.prsnamespace WHERE {USER_SCHEMA}"
    )
}

fn templates() -> String {
    format!(
        "SELECT t.oid, 'textSearchTemplate' AS kind, n.nspname AS schema, t.tmplname AS name, \
         pg_catalog.format('CREATE TEXT SEARCH TEMPLATE %I.%I (%sLEXIZE = %s)', n.nspname, t.tmplname, \
           CASE WHEN t.tmplinit::oid <> 0 THEN 'INIT = ' || t.tmplinit::text || ', ' ELSE '' END, t.tmpllexize) AS definition \
         FROM pg_catalog.pg_ts_template t JOIN pg_catalog.pg_namespace n ON n.oid = t.tmplnamespace WHERE {USER_SCHEMA}"
    )
}

fn dictionaries() -> String {
    format!(
        "SELECT d.oid, 'textSearchDictionary' AS kind, n.nspname AS schema, d.dictname AS name, \
         pg_catalog.pg_get_userbyid(d.dictowner) AS owner, \
         pg_catalog.format('CREATE TEXT SEARCH DICTIONARY %I.%I (TEMPLATE = %I.%I%s)', n.nspname, d.dictname, tn.nspname, t.tmplname, \
           CASE WHEN d.dictinitoption <> '' THEN ', ' || d.dictinitoption ELSE '' END) AS definition \
         FROM pg_catalog.pg_ts_dict d JOIN pg_catalog.pg_namespace n ON n.oid = d.dictnamespace \
         JOIN pg_catalog.pg_ts_template t ON t.oid = d.dicttemplate JOIN pg_catalog.pg_namespace tn ON tn.oid = t.tmplnamespace \
         WHERE {USER_SCHEMA}"
    )
}

fn configurations() -> String {
    format!(
        "SELECT c.oid, 'textSearchConfiguration' AS kind, n.nspname AS schema, c.cfgname AS name, \
         pg_catalog.pg_get_userbyid(c.cfgowner) AS owner, \
         pg_catalog.format('CREATE TEXT SEARCH CONFIGURATION %I.%I (PARSER = %I.%I)', n.nspname, c.cfgname, pn.nspname, p.prsname) \
           AS definition, \
         (SELECT pg_catalog.json_agg(pg_catalog.format('ALTER TEXT SEARCH CONFIGURATION %I.%I ADD MAPPING FOR %s WITH %s', \
             n.nspname, c.cfgname, m.token, m.dicts) ORDER BY m.token) FROM ( \
           SELECT (SELECT t.alias FROM pg_catalog.ts_token_type(c.cfgparser) t WHERE t.tokid = cm.maptokentype) AS token, \
             pg_catalog.string_agg(pg_catalog.format('%I.%I', dn.nspname, d.dictname), ', ' ORDER BY cm.mapseqno) AS dicts \
           FROM pg_catalog.pg_ts_config_map cm JOIN pg_catalog.pg_ts_dict d ON d.oid = cm.mapdict \
           JOIN pg_catalog.pg_namespace dn ON dn.oid = d.dictnamespace WHERE cm.mapcfg = c.oid \
           GROUP BY cm.maptokentype) m) AS \"more[]\" \
         FROM pg_catalog.pg_ts_config c JOIN pg_catalog.pg_namespace n ON n.oid = c.cfgnamespace \
         JOIN pg_catalog.pg_ts_parser p ON p.oid = c.cfgparser JOIN pg_catalog.pg_namespace pn ON pn.oid = p.prsnamespace \
         WHERE {USER_SCHEMA}"
    )
}

fn statistics(major: u32) -> String {
    let target = if major >= 17 { "s.stxstattarget" } else { "nullif(s.stxstattarget, -1)" };
    format!(
        "SELECT s.oid, 'statistics' AS kind, n.nspname AS schema, s.stxname AS name, \
         pg_catalog.pg_get_userbyid(s.stxowner) AS owner, \
         pg_catalog.pg_get_statisticsobjdef(s.oid) AS definition, {target} AS statistics \
         FROM pg_catalog.pg_statistic_ext s JOIN pg_catalog.pg_namespace n ON n.oid = s.stxnamespace WHERE {USER_SCHEMA}"
    )
}

const EVENT_TRIGGERS: &str = "\
    SELECT e.oid, 'eventTrigger' AS kind, e.evtname AS name, pg_catalog.pg_get_userbyid(e.evtowner) AS owner, \
    pg_catalog.format('CREATE EVENT TRIGGER %I ON %s%s EXECUTE FUNCTION %s()', e.evtname, e.evtevent, \
      CASE WHEN e.evttags IS NOT NULL THEN pg_catalog.format(' WHEN TAG IN (%s)', (SELECT pg_catalog.string_agg( \
        pg_catalog.quote_literal(t), ', ' ORDER BY t) FROM pg_catalog.unnest(e.evttags) t)) ELSE '' END, \
      e.evtfoid::pg_catalog.regproc) AS definition, \
    CASE e.evtenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' WHEN 'A' THEN 'ENABLE ALWAYS' END AS enabled \
    FROM pg_catalog.pg_event_trigger e";

fn wrappers() -> String {
    format!(
        "SELECT w.oid, 'foreignDataWrapper' AS kind, w.fdwname AS name, pg_catalog.pg_get_userbyid(w.fdwowner) AS owner, \
         pg_catalog.format('CREATE FOREIGN DATA WRAPPER %I%s%s', w.fdwname, \
           CASE WHEN w.fdwhandler <> 0 THEN ' HANDLER ' || w.fdwhandler::pg_catalog.regproc::text ELSE '' END, \
           CASE WHEN w.fdwvalidator <> 0 THEN ' VALIDATOR ' || w.fdwvalidator::pg_catalog.regproc::text ELSE '' END) AS definition, \
         {} AS \"foreign_options[]\" FROM pg_catalog.pg_foreign_data_wrapper w",
        shown("w.fdwoptions")
    )
}

fn servers() -> String {
    format!(
        "SELECT s.oid, 'server' AS kind, s.srvname AS name, pg_catalog.pg_get_userbyid(s.srvowner) AS owner, \
         pg_catalog.format('CREATE SERVER %I%s%s FOREIGN DATA WRAPPER %I', s.srvname, \
           CASE WHEN s.srvtype IS NOT NULL THEN pg_catalog.format(' TYPE %L', s.srvtype) ELSE '' END, \
           CASE WHEN s.srvversion IS NOT NULL THEN pg_catalog.format(' VERSION %L', s.srvversion) ELSE '' END, w.fdwname) AS definition, \
         {} AS \"foreign_options[]\" FROM pg_catalog.pg_foreign_server s \
         JOIN pg_catalog.pg_foreign_data_wrapper w ON w.oid = s.srvfdw",
        shown("s.srvoptions")
    )
}

/// Those of the options in `column` that may be shown. Secrets stay where they are, whatever a wrapper calls them: a
/// difference goes into pull requests.
fn shown(column: &str) -> String {
    options(&format!(
        "(SELECT pg_catalog.array_agg(o) FROM pg_catalog.unnest({column}) o \
         WHERE pg_catalog.split_part(o, '=', 1) !~* '(pass|secret|token|credential|key)')"
    ))
}

fn user_mappings() -> String {
    format!(
        "SELECT m.umid AS oid, 'userMapping' AS kind, m.usename AS name, 1417 AS of_class, m.srvid AS of_oid, \
         CASE WHEN m.umuser = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(m.usename) END AS \"user\", {} AS \"foreign_options[]\" \
         FROM pg_catalog.pg_user_mappings m",
        shown("m.umoptions")
    )
}

/// The server shows options of a user mapping as if there were none to whom they are no business of.
fn hidden_mapping_options() -> String {
    format!(
        "SELECT '{MAPPING_OPTIONS}' AS name, 'permission denied for the options of ' || pg_catalog.count(*) || \
           CASE WHEN pg_catalog.count(*) = 1 THEN ' user mapping' ELSE ' user mappings' END AS value \
         FROM pg_catalog.pg_user_mappings m JOIN pg_catalog.pg_foreign_server s ON s.oid = m.srvid \
         WHERE m.umoptions IS NULL \
           AND NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = CURRENT_USER) \
           AND NOT (m.umuser <> 0 AND m.usename = CURRENT_USER \
             AND (pg_catalog.pg_has_role(s.srvowner, 'USAGE') OR pg_catalog.has_server_privilege(m.srvid, 'USAGE'))) \
           AND NOT (m.umuser = 0 AND pg_catalog.pg_has_role(s.srvowner, 'USAGE')) \
         HAVING pg_catalog.count(*) > 0"
    )
}

fn publications(major: u32) -> String {
    let generated = if major >= 18 {
        "CASE WHEN p.pubgencols = 's' THEN ', publish_generated_columns = stored' ELSE '' END"
    } else {
        "''"
    };
    format!(
        "SELECT p.oid, 'publication' AS kind, p.pubname AS name, pg_catalog.pg_get_userbyid(p.pubowner) AS owner, \
         pg_catalog.format('CREATE PUBLICATION %I%s WITH (publish = %L%s%s)', p.pubname, \
           CASE WHEN p.puballtables THEN ' FOR ALL TABLES' ELSE '' END, \
           pg_catalog.concat_ws(', ', CASE WHEN p.pubinsert THEN 'insert' END, CASE WHEN p.pubupdate THEN 'update' END, \
             CASE WHEN p.pubdelete THEN 'delete' END, CASE WHEN p.pubtruncate THEN 'truncate' END), \
           CASE WHEN p.pubviaroot THEN ', publish_via_partition_root = true' ELSE '' END, {generated}) AS definition \
         FROM pg_catalog.pg_publication p"
    )
}

fn publication_tables(major: u32) -> String {
    let detail = if major >= 15 {
        "CASE WHEN r.prattrs IS NOT NULL THEN ' (' || (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' \
         ORDER BY a.attnum) FROM pg_catalog.pg_attribute a WHERE a.attrelid = r.prrelid AND a.attnum = ANY (r.prattrs)) || ')' ELSE '' END \
         || CASE WHEN r.prqual IS NOT NULL THEN ' WHERE (' || pg_catalog.pg_get_expr(r.prqual, r.prrelid) || ')' ELSE '' END"
    } else {
        "''"
    };
    format!(
        "SELECT r.oid, 'publicationMember' AS kind, x.name, 6104 AS of_class, r.prpubid AS of_oid, \
         1259 AS to_class, r.prrelid AS to_oid, 'TABLE ONLY ' || x.name || {detail} AS definition, 'TABLE ONLY ' || x.name AS target \
         FROM pg_catalog.pg_publication_rel r JOIN pg_catalog.pg_class c ON c.oid = r.prrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace, \
         LATERAL (SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS name) x"
    )
}

fn publication_schemas(major: u32) -> String {
    if major < 15 {
        return "SELECT 1 WHERE false".to_owned();
    }
    "SELECT r.oid, 'publicationMember' AS kind, 'schema ' || n.nspname AS name, 6104 AS of_class, r.pnpubid AS of_oid, \
     2615 AS to_class, r.pnnspid AS to_oid, pg_catalog.format('TABLES IN SCHEMA %I', n.nspname) AS definition, \
     pg_catalog.format('TABLES IN SCHEMA %I', n.nspname) AS target \
     FROM pg_catalog.pg_publication_namespace r JOIN pg_catalog.pg_namespace n ON n.oid = r.pnnspid"
        .to_owned()
}

/// A subscription is made disabled and unconnected: the connection's secrets are not read.
const SUBSCRIPTIONS: &str = "\
    SELECT s.oid, 'subscription' AS kind, s.subname AS name, pg_catalog.pg_get_userbyid(s.subowner) AS owner, \
    pg_catalog.format('CREATE SUBSCRIPTION %I CONNECTION '''' PUBLICATION %s WITH (connect = false, slot_name = NONE)', s.subname, \
      (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(p), ', ') FROM pg_catalog.unnest(s.subpublications) p)) AS definition \
    FROM pg_catalog.pg_subscription s JOIN pg_catalog.pg_database d ON d.oid = s.subdbid \
    WHERE d.datname = pg_catalog.current_database()";

const DEFAULT_PRIVILEGES: &str = "\
    SELECT d.oid, 'defaultPrivilege' AS kind, pg_catalog.format('%s%s on %s', pg_catalog.pg_get_userbyid(d.defaclrole), \
      CASE WHEN n.nspname IS NOT NULL THEN ' in ' || n.nspname ELSE '' END, x.objects) AS name, x.objects, \
    pg_catalog.pg_get_userbyid(d.defaclrole) AS role, n.nspname AS in_schema \
    FROM pg_catalog.pg_default_acl d LEFT JOIN pg_catalog.pg_namespace n ON n.oid = d.defaclnamespace, \
    LATERAL (SELECT CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS' \
      WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS' ELSE 'LARGE OBJECTS' END AS objects) x";

/// Roles of the server, without passwords, and who belongs to whom.
const ROLES: &str = "\
    SELECT 'role' AS kind, r.rolname AS name, pg_catalog.format('CREATE ROLE %I WITH %s', r.rolname, pg_catalog.concat_ws(' ', \
      CASE WHEN r.rolsuper THEN 'SUPERUSER' ELSE 'NOSUPERUSER' END, CASE WHEN r.rolinherit THEN 'INHERIT' ELSE 'NOINHERIT' END, \
      CASE WHEN r.rolcreaterole THEN 'CREATEROLE' ELSE 'NOCREATEROLE' END, CASE WHEN r.rolcreatedb THEN 'CREATEDB' ELSE 'NOCREATEDB' END, \
      CASE WHEN r.rolcanlogin THEN 'LOGIN' ELSE 'NOLOGIN' END, CASE WHEN r.rolreplication THEN 'REPLICATION' ELSE 'NOREPLICATION' END, \
      CASE WHEN r.rolbypassrls THEN 'BYPASSRLS' ELSE 'NOBYPASSRLS' END, \
      CASE WHEN r.rolconnlimit >= 0 THEN 'CONNECTION LIMIT ' || r.rolconnlimit END)) AS definition, \
      (SELECT pg_catalog.json_agg(g.rolname ORDER BY g.rolname) FROM pg_catalog.pg_auth_members m \
        JOIN pg_catalog.pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid) AS \"member_of[]\" \
    FROM pg_catalog.pg_roles r WHERE r.rolname !~ '^pg_' AND r.rolname <> 'offshoot_reader'";

/// What exists and is not modelled.
const COUNTS: &str = "\
    SELECT 'largeObject' AS kind, count(*) AS count FROM pg_catalog.pg_largeobject_metadata \
    UNION ALL SELECT 'databaseSetting', count(*) FROM pg_catalog.pg_db_role_setting s JOIN pg_catalog.pg_database d \
      ON d.oid = s.setdatabase WHERE d.datname = pg_catalog.current_database() \
    UNION ALL SELECT 'extensionMemberGrant', count(*) FROM pg_catalog.pg_init_privs p WHERE p.privtype = 'e' AND p.classoid = 1259 \
      AND EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = p.objoid AND c.relacl IS DISTINCT FROM p.initprivs) \
    UNION ALL SELECT 'objectInSystemSchema', count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n \
      ON n.oid = c.relnamespace WHERE c.oid >= 16384 AND n.nspname IN ('pg_catalog', 'information_schema') \
      AND c.relkind IN ('r', 'v', 'm', 'S', 'f', 'p')";
