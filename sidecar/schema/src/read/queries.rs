//! The queries, one per kind of catalog.
//!
//! A row becomes a fact by the names of its columns. `oid` and `sub` are the key within the query's catalog;
//! `of_class`, `of_oid` and `of_sub` the key of the object that it is a part of; `kind`, `schema` and `name` the identity;
//! `also_class` and `also_oid` a second key for the same object. A name with `[]` holds a JSON list. All others are attributes.

use super::{parts, relations, rest, routines};

/// The oids of the system catalogs, which never change.
pub(super) mod class {
    pub(crate) const ACCESS_METHOD: u32 = 2601;
    pub(crate) const ATTRDEF: u32 = 2604;
    pub(crate) const CAST: u32 = 2605;
    pub(crate) const CLASS: u32 = 1259;
    pub(crate) const COLLATION: u32 = 3456;
    pub(crate) const CONSTRAINT: u32 = 2606;
    pub(crate) const CONVERSION: u32 = 2607;
    pub(crate) const DEFAULT_ACL: u32 = 826;
    pub(crate) const EVENT_TRIGGER: u32 = 3466;
    pub(crate) const EXTENSION: u32 = 3079;
    pub(crate) const FDW: u32 = 2328;
    pub(crate) const LANGUAGE: u32 = 2612;
    pub(crate) const NAMESPACE: u32 = 2615;
    pub(crate) const OPCLASS: u32 = 2616;
    pub(crate) const OPERATOR: u32 = 2617;
    pub(crate) const OPFAMILY: u32 = 2753;
    pub(crate) const POLICY: u32 = 3256;
    pub(crate) const PROC: u32 = 1255;
    pub(crate) const PUBLICATION: u32 = 6104;
    pub(crate) const PUBLICATION_NAMESPACE: u32 = 6237;
    pub(crate) const PUBLICATION_REL: u32 = 6106;
    pub(crate) const REWRITE: u32 = 2618;
    pub(crate) const SERVER: u32 = 1417;
    pub(crate) const STATISTIC: u32 = 3381;
    pub(crate) const SUBSCRIPTION: u32 = 6100;
    pub(crate) const TRANSFORM: u32 = 3576;
    pub(crate) const TRIGGER: u32 = 2620;
    pub(crate) const TS_CONFIG: u32 = 3602;
    pub(crate) const TS_DICT: u32 = 3600;
    pub(crate) const TS_PARSER: u32 = 3601;
    pub(crate) const TS_TEMPLATE: u32 = 3764;
    pub(crate) const TYPE: u32 = 1247;
    pub(crate) const USER_MAPPING: u32 = 1418;
}

/// What a query's rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Facts of this catalog.
    Facts(u32),
    /// Which objects belong to an extension.
    Members,
    /// Other names for facts: rows of `class`, `oid` that stand for `of_class`, `of_oid`, `of_sub`.
    Aliases,
    /// Attributes for facts that there are already: `attribute` and `value`.
    Attributes,
    /// The same, but each column is an attribute.
    More,
    /// Grants.
    Grants,
    /// Edges.
    Edges,
    /// Numbers of what is not modelled.
    Counts,
    /// What may not be seen: `name` and the reason in `value`.
    Unread,
}

/// A query.
pub(super) struct Query {
    /// What it reads, for people.
    pub(super) what: &'static str,
    pub(super) shape: Shape,
    pub(super) sql: String,
}

impl Query {
    pub(super) fn new(what: &'static str, shape: Shape, sql: impl Into<String>) -> Self {
        Self { what, shape, sql: sql.into() }
    }
}

/// Leaves out what belongs to Postgres itself.
pub(super) const USER_SCHEMA: &str = "n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'";

/// Queries that share a round trip.
pub(super) struct Batch {
    /// What they read together, for people.
    pub(super) what: &'static str,
    pub(super) queries: Vec<Query>,
}

/// The queries in an order in which every object comes before its parts.
pub(super) fn all(major: u32) -> Vec<Batch> {
    let mut first = vec![
        Query::new("extension members", Shape::Members, MEMBERS),
        Query::new("schemas", Shape::Facts(class::NAMESPACE), SCHEMAS),
        Query::new("extensions", Shape::Facts(class::EXTENSION), EXTENSIONS),
    ];
    first.extend(relations::queries(major));
    let mut rare = routines::queries(major);
    rare.extend(rest::queries(major));
    vec![
        Batch { what: "tables, columns and types", queries: first },
        Batch { what: "routines and rare objects", queries: rare },
        Batch { what: "constraints, indexes and other parts", queries: parts::queries(major) },
        Batch { what: "grants, comments and dependencies", queries: parts::links() },
    ]
}

const MEMBERS: &str = "SELECT classid AS class, objid AS oid, refobjid AS of_oid \
    FROM pg_catalog.pg_depend WHERE deptype = 'e' AND refclassid = 3079";

const SCHEMAS: &str = "SELECT n.oid, 'schema' AS kind, n.nspname AS name, \
    pg_catalog.pg_get_userbyid(n.nspowner) AS owner \
    FROM pg_catalog.pg_namespace n WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'";

const EXTENSIONS: &str = "SELECT e.oid, 'extension' AS kind, e.extname AS name, n.nspname AS in_schema, \
    e.extversion AS version FROM pg_catalog.pg_extension e \
    JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace";
