//! What a comparison leaves out because one of its sides could not be read.

use std::collections::BTreeSet;

use crate::fact::{FactId, Facts};
use crate::kind::Kind;

/// What is read and reported under the name `options of user mappings`.
pub(crate) const MAPPING_OPTIONS: &str = "options of user mappings";

/// Names of what is read, as in [`Facts::unreadable`], and the kinds of facts that come of it.
const KINDS: &[(&str, &[Kind])] = &[
    ("access methods", &[Kind::AccessMethod]),
    ("casts", &[Kind::Cast]),
    ("collations", &[Kind::Collation]),
    ("constraints", &[Kind::Constraint]),
    ("conversions", &[Kind::Conversion]),
    ("default privileges", &[Kind::DefaultPrivilege]),
    ("defaults", &[Kind::Default]),
    ("event triggers", &[Kind::EventTrigger]),
    ("extensions", &[Kind::Extension]),
    ("foreign data wrappers", &[Kind::ForeignDataWrapper]),
    ("grants", &[Kind::Grant]),
    ("index roles", &[Kind::TableIndexRole]),
    ("indexes", &[Kind::Index]),
    ("inheritance", &[Kind::Inheritance, Kind::Attachment]),
    ("languages", &[Kind::Language]),
    ("operator classes", &[Kind::OperatorClass]),
    ("operator families", &[Kind::OperatorFamily]),
    ("operators", &[Kind::Operator]),
    ("policies", &[Kind::Policy]),
    ("publication schemas", &[Kind::PublicationMember]),
    ("publication tables", &[Kind::PublicationMember]),
    ("publications", &[Kind::Publication, Kind::PublicationMember]),
    ("roles", &[Kind::Role, Kind::Membership]),
    ("routines", &[Kind::Function, Kind::Procedure, Kind::Aggregate]),
    ("rules", &[Kind::Rule]),
    ("sequence owners", &[Kind::SequenceOwner]),
    ("sequences", &[Kind::Sequence]),
    ("servers", &[Kind::Server, Kind::UserMapping]),
    ("statistics", &[Kind::Statistics]),
    ("subscriptions", &[Kind::Subscription]),
    ("text search configurations", &[Kind::TextSearchConfiguration]),
    ("text search dictionaries", &[Kind::TextSearchDictionary]),
    ("text search parsers", &[Kind::TextSearchParser]),
    ("text search templates", &[Kind::TextSearchTemplate]),
    ("transforms", &[Kind::Transform]),
    ("triggers", &[Kind::Trigger]),
    ("user mappings", &[Kind::UserMapping]),
];

/// What at least one of two sides could not read. To take it for something that is not there would plan to drop it.
pub(crate) struct Unread {
    kinds: BTreeSet<Kind>,
    comments: bool,
    mapping_options: bool,
}

impl Unread {
    /// What one of both lacks.
    pub(crate) fn of(from: &Facts, to: &Facts) -> Self {
        let lacks = |what: &str| from.unreadable.contains_key(what) || to.unreadable.contains_key(what);
        let kinds = KINDS.iter().filter(|(what, _)| lacks(what)).flat_map(|(_, kinds)| kinds.iter().copied());
        Self { kinds: kinds.collect(), comments: lacks("comments"), mapping_options: lacks(MAPPING_OPTIONS) }
    }

    /// Whether nothing can be said of this fact, or of what it is a part of.
    pub(crate) fn hides(&self, id: &FactId) -> bool {
        !self.kinds.is_empty()
            && (self.kinds.contains(&id.kind) || id.of.as_deref().is_some_and(|whole| self.hides(whole)))
    }

    /// Whether nothing can be said of this attribute of a fact.
    pub(crate) fn hides_attribute(&self, id: &FactId, name: &str) -> bool {
        self.comments && name == "comment"
            || self.mapping_options && id.kind == Kind::UserMapping && name == "foreign_options"
    }
}
