//! What a new branch is given before anybody connects to it.

use super::At;

/// Extensions, roles and grants of a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Initial {
    pub(crate) extensions: Option<At<Vec<String>>>,
    pub(crate) roles: Option<At<Vec<String>>>,
    pub(crate) grants: Option<At<Vec<Grant>>>,
}

/// What a role may do with what there is in a schema, and with what is made there later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    /// In small letters.
    pub(crate) privileges: Vec<String>,
    pub(crate) on: Objects,
    pub(crate) schema: String,
    pub(crate) role: String,
}

/// What a grant is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Objects {
    Tables,
    Sequences,
    Functions,
    Schema,
}

impl Objects {
    pub(crate) const ALL: &[Self] = &[Self::Tables, Self::Sequences, Self::Functions, Self::Schema];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Tables => "tables",
            Self::Sequences => "sequences",
            Self::Functions => "functions",
            Self::Schema => "schema",
        }
    }

    /// The privileges that Postgres knows for them.
    pub(crate) fn privileges(self) -> &'static [&'static str] {
        match self {
            Self::Tables => &[
                "select",
                "insert",
                "update",
                "delete",
                "truncate",
                "references",
                "trigger",
                "maintain",
                "all",
            ],
            Self::Sequences => &["usage", "select", "update", "all"],
            Self::Functions => &["execute", "all"],
            Self::Schema => &["usage", "create", "all"],
        }
    }
}

impl Initial {
    /// Whether there is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        self.extensions.is_none() && self.roles.is_none() && self.grants.is_none()
    }
}

impl Grant {
    /// Reads `select, insert on tables in app to reader`.
    ///
    /// # Errors
    /// What is wrong, and how to put it right where that can be told.
    pub(crate) fn parse(text: &str) -> Result<Self, (String, Option<String>)> {
        const SHAPE: &str = "such as \"select, insert on tables in app to reader\"";
        let wrong = || (format!("is {text:?}, not a grant {SHAPE}"), None);
        let words: Vec<&str> = text.split_whitespace().collect();
        let at = |word: &str| words.iter().position(|found| found.eq_ignore_ascii_case(word));
        let (Some(on), Some(to)) = (at("on"), at("to")) else { return Err(wrong()) };
        let (Some(&objects), [role]) = (words.get(on + 1), &words[to + 1..]) else { return Err(wrong()) };
        let schema = match words.get(on + 2..to).unwrap_or_default() {
            [] => "public",
            [word, schema] if word.eq_ignore_ascii_case("in") => schema,
            _ => return Err(wrong()),
        };
        let names: Vec<&str> = Objects::ALL.iter().map(|objects| objects.as_str()).collect();
        let lower = objects.to_ascii_lowercase();
        let Some(objects) = Objects::ALL.iter().copied().find(|objects| objects.as_str() == lower) else {
            let hint = near(&lower, &names);
            return Err((format!("is about {objects:?}, not one of {}", names.join(", ")), hint));
        };
        let mut privileges = Vec::new();
        for privilege in words[..on].join(" ").split(',').map(|word| word.trim().to_ascii_lowercase()) {
            if !objects.privileges().contains(&privilege.as_str()) {
                let hint = near(&privilege, objects.privileges())
                    .or_else(|| Some(format!("Known are {}.", objects.privileges().join(", "))));
                return Err((
                    format!("names the privilege {privilege:?}, which {} have not", objects.as_str()),
                    hint,
                ));
            }
            privileges.push(privilege);
        }
        Ok(Self { privileges, on: objects, schema: schema.to_owned(), role: (*role).to_owned() })
    }
}

fn near(word: &str, known: &[&str]) -> Option<String> {
    crate::config::parse::closest(word, known).map(|near| format!("Did you mean {near:?}?"))
}

impl std::fmt::Display for Grant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} on {} in {} to {}",
            self.privileges.join(", "),
            self.on.as_str(),
            self.schema,
            self.role
        )
    }
}
