//! What the header of a bundle says.

use offshoot_postgres::Lsn;

use super::format::{Fields, Hash, damaged, from_hex, hex};
use crate::error::StorageError;

/// What separates the items of a list in a field. No name has it in it.
const SEPARATOR: char = '\u{1f}';

/// A state that a bundle is made against, or that it carries: named by the hash of all pages of all relation files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleBase {
    /// SHA-256 over the names, lengths and contents of all relation files, as 64 hexadecimal digits.
    pub id: String,
    /// SHA-256 over their names and lengths alone: a quick way to see that a state is another one.
    pub shape: String,
    /// What it is called where the bundle was made, such as `main@bundle-1a2b3c4d`.
    pub label: String,
}

/// What must be the same after a bundle was applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SchemaProof {
    /// What the hash is made by: two of different kinds cannot be compared.
    pub kind: String,
    /// The hash of the schema.
    pub hash: String,
}

/// What the header of a bundle says of it. None of it is believed before the whole file was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleFacts {
    /// The branch that it was made of.
    pub branch: String,
    /// The database of the store that it was made in.
    pub database: String,
    /// The role that owns that store.
    pub user: String,
    /// Major version of Postgres.
    pub major: u32,
    /// Version of Postgres, such as `18.1`.
    pub postgres: String,
    /// The cluster's number, chosen when it was made; the same in all branches of a store.
    pub system_identifier: u64,
    /// The timeline of the last checkpoint in it.
    pub timeline: u32,
    /// Where that checkpoint is.
    pub checkpoint: Lsn,
    /// The state that the other side must have; `None` if all pages are in the bundle.
    pub base: Option<BundleBase>,
    /// The schema of the branch.
    pub schema: SchemaProof,
    /// Extensions of the database.
    pub extensions: Vec<String>,
    /// Roles whose password verifiers are in it.
    pub roles: Vec<String>,
    /// Relation files in it.
    pub relations: u64,
    /// Pages of 8 KiB in it.
    pub pages: u64,
    /// Bytes of all that is in it, unpacked.
    pub bytes: u64,
}

impl BundleFacts {
    /// Whether all pages are in the bundle, so that it needs no base.
    pub fn is_full(&self) -> bool {
        self.base.is_none()
    }

    pub(super) fn fields(&self) -> Fields {
        let list = |items: &[String]| items.join(&SEPARATOR.to_string());
        let base =
            |part: fn(&BundleBase) -> &String| self.base.as_ref().map(part).cloned().unwrap_or_default();
        let fields = [
            ("branch", self.branch.clone()),
            ("database", self.database.clone()),
            ("user", self.user.clone()),
            ("major", self.major.to_string()),
            ("postgres", self.postgres.clone()),
            ("system_identifier", self.system_identifier.to_string()),
            ("timeline", self.timeline.to_string()),
            ("checkpoint", self.checkpoint.to_string()),
            ("base", base(|base| &base.id)),
            ("base_shape", base(|base| &base.shape)),
            ("base_label", base(|base| &base.label)),
            ("schema_kind", self.schema.kind.clone()),
            ("schema", self.schema.hash.clone()),
            ("extensions", list(&self.extensions)),
            ("roles", list(&self.roles)),
            ("relations", self.relations.to_string()),
            ("pages", self.pages.to_string()),
            ("bytes", self.bytes.to_string()),
        ];
        fields.map(|(key, value)| (key.to_owned(), value)).into()
    }

    pub(super) fn of(fields: &Fields) -> Result<Self, StorageError> {
        let text = |key: &str| {
            let field = fields.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone());
            field.ok_or_else(|| damaged("its header lacks something"))
        };
        let list = |key: &str| -> Result<Vec<String>, StorageError> {
            let all = text(key)?;
            Ok(if all.is_empty() { Vec::new() } else { all.split(SEPARATOR).map(str::to_owned).collect() })
        };
        let base = match text("base")? {
            id if id.is_empty() => None,
            id => Some(BundleBase { id, shape: text("base_shape")?, label: text("base_label")? }),
        };
        let facts = Self {
            branch: text("branch")?,
            database: text("database")?,
            user: text("user")?,
            major: number(&text("major")?)?,
            postgres: text("postgres")?,
            system_identifier: number(&text("system_identifier")?)?,
            timeline: number(&text("timeline")?)?,
            checkpoint: number(&text("checkpoint")?)?,
            base,
            schema: SchemaProof { kind: text("schema_kind")?, hash: text("schema")? },
            extensions: list("extensions")?,
            roles: list("roles")?,
            relations: number(&text("relations")?)?,
            pages: number(&text("pages")?)?,
            bytes: number(&text("bytes")?)?,
        };
        if let Some(base) = &facts.base {
            base.hashes()?;
        }
        Ok(facts)
    }
}

impl BundleBase {
    pub(super) fn new((content, shape): &(Hash, Hash), label: String) -> Self {
        Self { id: hex(content), shape: hex(shape), label }
    }

    /// The hashes of the content and of the shape.
    pub(super) fn hashes(&self) -> Result<(Hash, Hash), StorageError> {
        let hashes = from_hex(&self.id).zip(from_hex(&self.shape));
        hashes.ok_or_else(|| damaged("the name of its base is none"))
    }

    /// As it is noted about a state.
    pub(super) fn note(&self) -> String {
        format!("{}:{}", self.id, self.shape)
    }

    /// What [`Self::note`] has written.
    pub(super) fn of_note(note: &str, label: String) -> Option<Self> {
        let (id, shape) = note.split_once(':')?;
        let base = Self { id: id.to_owned(), shape: shape.to_owned(), label };
        base.hashes().is_ok().then_some(base)
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, StorageError> {
    text.parse().map_err(|_| damaged("a number in its header is none"))
}
