//! What a fact is about.

use serde::{Deserialize, Serialize};

/// What a kind's objects are to other kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rank {
    /// A person sees it by itself.
    Top,
    /// A part of another object, made and dropped by a statement of its own.
    Part,
    /// A part that comes and goes with the object it is part of when that is made or dropped.
    Folded,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident $text:literal $title:literal $sql:literal $rank:ident;)*) => {
        /// The kind of an object or of a part of one. The order is the order in which scripts prefer to make them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase")]
        #[non_exhaustive]
        pub enum Kind {
            $($(#[$doc])* $name,)*
        }

        impl Kind {
            /// Every kind, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The name on the wire and in files, such as `materializedView`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The name for people, such as `materialised view`.
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            /// The word of `CREATE`, `DROP`, `ALTER` and `COMMENT ON`.
            pub(crate) fn sql(self) -> &'static str {
                match self { $(Self::$name => $sql,)* }
            }

            pub(crate) fn rank(self) -> Rank {
                match self { $(Self::$name => Rank::$rank,)* }
            }
        }
    };
}

kinds! {
    /// A role, when roles are read.
    Role "role" "role" "ROLE" Top;
    /// That one role belongs to another; part of the group.
    Membership "membership" "membership" "" Part;
    /// A schema.
    Schema "schema" "schema" "SCHEMA" Top;
    /// An extension with all its members.
    Extension "extension" "extension" "EXTENSION" Top;
    /// An access method.
    AccessMethod "accessMethod" "access method" "ACCESS METHOD" Top;
    /// A procedural language.
    Language "language" "language" "LANGUAGE" Top;
    /// A foreign data wrapper.
    ForeignDataWrapper "foreignDataWrapper" "foreign data wrapper" "FOREIGN DATA WRAPPER" Top;
    /// A foreign server.
    Server "server" "server" "SERVER" Top;
    /// A user mapping without its options' secrets; part of the server.
    UserMapping "userMapping" "user mapping" "" Part;
    /// A collation.
    Collation "collation" "collation" "COLLATION" Top;
    /// A conversion between encodings.
    Conversion "conversion" "conversion" "CONVERSION" Top;
    /// An enum, composite, range, base or shell type.
    Type "type" "type" "TYPE" Top;
    /// A domain.
    Domain "domain" "domain" "DOMAIN" Top;
    /// A sequence that is not of an identity column.
    Sequence "sequence" "sequence" "SEQUENCE" Top;
    /// A function or window function.
    Function "function" "function" "FUNCTION" Top;
    /// A procedure.
    Procedure "procedure" "procedure" "PROCEDURE" Top;
    /// An aggregate.
    Aggregate "aggregate" "aggregate" "AGGREGATE" Top;
    /// An operator family.
    OperatorFamily "operatorFamily" "operator family" "OPERATOR FAMILY" Top;
    /// An operator.
    Operator "operator" "operator" "OPERATOR" Top;
    /// An operator class.
    OperatorClass "operatorClass" "operator class" "OPERATOR CLASS" Top;
    /// A cast.
    Cast "cast" "cast" "CAST" Top;
    /// A transform of a type for a language.
    Transform "transform" "transform" "TRANSFORM" Top;
    /// A text search parser.
    TextSearchParser "textSearchParser" "text search parser" "TEXT SEARCH PARSER" Top;
    /// A text search template.
    TextSearchTemplate "textSearchTemplate" "text search template" "TEXT SEARCH TEMPLATE" Top;
    /// A text search dictionary.
    TextSearchDictionary "textSearchDictionary" "text search dictionary" "TEXT SEARCH DICTIONARY" Top;
    /// A text search configuration.
    TextSearchConfiguration "textSearchConfiguration" "text search configuration" "TEXT SEARCH CONFIGURATION" Top;
    /// A table or partitioned table.
    Table "table" "table" "TABLE" Top;
    /// A foreign table.
    ForeignTable "foreignTable" "foreign table" "FOREIGN TABLE" Top;
    /// A column of a table, view or composite type.
    Column "column" "column" "COLUMN" Folded;
    /// A column's default.
    Default "default" "default" "" Part;
    /// Which column owns a sequence; part of the sequence.
    SequenceOwner "sequenceOwner" "sequence owner" "" Part;
    /// A constraint of a table or domain.
    Constraint "constraint" "constraint" "CONSTRAINT" Part;
    /// An index that belongs to no constraint.
    Index "index" "index" "INDEX" Part;
    /// That a table is a partition of another, or an index of another index; part of the child.
    Attachment "attachment" "attachment" "" Part;
    /// That a table inherits from another; part of the child.
    Inheritance "inheritance" "inheritance" "" Part;
    /// Which index is the table's replica identity or clustering order; part of the table.
    TableIndexRole "tableIndexRole" "index role" "" Part;
    /// A view.
    View "view" "view" "VIEW" Top;
    /// A materialised view.
    MaterializedView "materializedView" "materialised view" "MATERIALIZED VIEW" Top;
    /// A rewrite rule.
    Rule "rule" "rule" "RULE" Part;
    /// A statistics object.
    Statistics "statistics" "statistics" "STATISTICS" Top;
    /// A trigger.
    Trigger "trigger" "trigger" "TRIGGER" Part;
    /// A row security policy.
    Policy "policy" "policy" "POLICY" Part;
    /// An event trigger.
    EventTrigger "eventTrigger" "event trigger" "EVENT TRIGGER" Top;
    /// A publication.
    Publication "publication" "publication" "PUBLICATION" Top;
    /// A table or schema in a publication; part of the publication.
    PublicationMember "publicationMember" "publication member" "" Part;
    /// A subscription without its connection's secrets.
    Subscription "subscription" "subscription" "SUBSCRIPTION" Top;
    /// What new objects of a role get granted.
    DefaultPrivilege "defaultPrivilege" "default privilege" "" Top;
    /// What one role may do with an object; part of the object.
    Grant "grant" "grant" "" Part;
}

impl Kind {
    /// The kind with this [`Kind::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == text)
    }

    /// Whether a person sees such an object by itself, not as part of another.
    pub fn is_top(self) -> bool {
        self.rank() == Rank::Top
    }

    /// Whether it is a function, procedure or aggregate.
    pub(crate) fn is_routine(self) -> bool {
        matches!(self, Self::Function | Self::Procedure | Self::Aggregate)
    }

    /// Whether it has columns and shares its names with tables.
    pub(crate) fn is_relation(self) -> bool {
        matches!(self, Self::Table | Self::ForeignTable | Self::View | Self::MaterializedView)
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.title())
    }
}
