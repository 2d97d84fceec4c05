//! `writers`: whose sessions may write to a branch.
//!
//! A session is one of a client at an address of ours. What Offshoot itself does, such as a promotion, a migration or a seed, goes past
//! those addresses.

use std::sync::Arc;
use std::time::Duration;

use offshoot_endpoint::Session;
use offshoot_protocol::error::Reason;
use offshoot_protocol::policy::{PolicyPlace, PolicySessions};
use offshoot_protocol::types::{Note, NoteKind};
use offshoot_storage::BranchId;

use super::{Deed, Now, now, place};
use crate::config::FILE_NAME;
use crate::config::rules::{READER, Rule};
use crate::engine::Engine;
use crate::failure::{Failure, Result};

/// How long a session that ends because of a rule may take for what it is doing.
const GRACE: Duration = Duration::from_secs(5);

/// Whose sessions may write to a branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::engine) struct Writers {
    /// What the file says, and what is committed: a role has to be in both.
    lists: Vec<(Vec<String>, PolicyPlace)>,
}

/// What a session is let in as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Login {
    /// As whom it says.
    Itself,
    /// As the role that only reads.
    Reader,
    /// Not at all: its password is not the one that the role that only reads has.
    Refused,
}

impl Now {
    /// Whose sessions may write to branches of this name, if a rule limits that.
    pub(in crate::engine) fn writers(&self, name: &str) -> Option<Writers> {
        let of = |rule: &Rule, file: &str| {
            let writers = rule.writers.as_ref()?;
            Some((writers.value.clone(), PolicyPlace { file: file.to_owned(), ..place(writers.line, rule) }))
        };
        let mut lists: Vec<_> = self.rule(name).and_then(|rule| of(rule, FILE_NAME)).into_iter().collect();
        if let Some((branch, rules)) = &self.committed {
            let rule = rules.find(name);
            lists.extend(rule.and_then(|rule| of(rule, &format!("{branch}:{FILE_NAME}"))));
        }
        (!lists.is_empty()).then_some(Writers { lists })
    }
}

impl Writers {
    /// What a client that names `user` is let in as; `owner` has the password of the addresses.
    pub(in crate::engine) fn login(&self, user: &str, owner: &str) -> Login {
        if self.names().any(|name| name == user) {
            Login::Itself
        } else if user == owner || user == READER {
            Login::Reader
        } else {
            Login::Refused
        }
    }

    /// Those who may.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let (first, rest) =
            self.lists.split_first().map_or((&[][..], &[][..]), |((first, _), rest)| (first, rest));
        let in_all = move |name: &&String| rest.iter().all(|(list, _)| list.contains(name));
        first.iter().filter(in_all).map(String::as_str)
    }

    /// The line that limits it: of two, the one that lets in no others than both do.
    pub(in crate::engine) fn place(&self) -> &PolicyPlace {
        let limits =
            |(list, _): &&(Vec<String>, _)| list.iter().all(|name| self.names().any(|one| one == name));
        &self.lists.iter().find(limits).unwrap_or(&self.lists[0]).1
    }

    /// What is said of a line that is committed, for those who have changed it already.
    fn committed(place: &PolicyPlace) -> String {
        let branch = place.file.strip_suffix(FILE_NAME).and_then(|start| start.strip_suffix(':'));
        branch.map_or_else(String::new, |branch| {
            format!(" A change of that line counts when it is committed on `{branch}`.")
        })
    }

    /// Who may, for people.
    fn who(&self) -> String {
        let names: Vec<String> = self.names().map(|name| format!("`{name}`")).collect();
        if names.is_empty() { "no session".to_owned() } else { format!("only {}", names.join(", ")) }
    }

    fn line(&self) -> String {
        shown(self.place())
    }

    /// Why another role than those does not log in.
    pub(in crate::engine) fn refused(&self, name: &str, user: &str, owner: &str) -> Failure {
        let keeps_out = |(list, _): &&(Vec<String>, _)| !list.iter().any(|name| name == user);
        let place = self.lists.iter().find(keeps_out).map_or_else(|| self.place(), |(_, place)| place);
        let line = shown(place);
        Failure::user(format!(
            "`{user}` does not log in to `{name}`: {} may write to it ({line})",
            self.who()
        ))
        .reason(Reason::Ruled)
        .hint(format!(
            "Log in as `{owner}` to read, or name `{user}` in `writers`.{}",
            Self::committed(place)
        ))
    }
}

fn shown(place: &PolicyPlace) -> String {
    format!("{}, line {}", place.file, place.line)
}

/// Refuses what writes to a branch in the place of a person, unless that is meant. Blocks.
pub(in crate::engine) fn may_write(engine: &Engine, name: &str, deed: &Deed) -> Result<()> {
    let rules = now(engine)?;
    let Some(writers) = rules.writers(name) else { return Ok(()) };
    let Deed { command, overridden } = deed;
    let line = writers.line();
    rules.check_fixed(name, format!("{} may write to `{name}` ({line})", writers.who()))?;
    if *overridden {
        tracing::info!(branch = name, command, rule = line, "against a rule");
        return Ok(());
    }
    Err(Failure::user(format!("{} may write to `{name}` ({line})", writers.who()))
        .reason(Reason::Ruled)
        .hint(format!(
            "`offshoot promote` brings migrations to a tier. `{command} --override` does it all the same.{}",
            Writers::committed(writers.place())
        )))
}

/// That sessions only read, for those who wonder. Blocks.
pub(in crate::engine) fn note(engine: &Engine, name: &str) -> Result<Option<Note>> {
    let rules = now(engine)?;
    let override_writes = rules.fixed(name).is_none();
    Ok(rules.writers(name).map(|writers| Note {
        kind: NoteKind::ReadOnly,
        text: format!(
            "sessions on `{name}` only read: {} may write to it ({})",
            writers.who(),
            writers.line()
        ),
        hint: override_writes.then(|| {
            "`offshoot sql --override` and `offshoot exec --override -- PROGRAM` write all the same."
                .to_owned()
        }),
    }))
}

/// Whether a session is what the rules would not let in now, or let in as another.
fn is_wrong(session: &Session, writers: Option<&Writers>, owner: &str) -> bool {
    let login = writers.map_or(Login::Itself, |writers| writers.login(&session.user, owner));
    match login {
        Login::Itself => session.logged_in_as.is_some(),
        Login::Reader => session.logged_in_as.is_none() && session.user != READER,
        Login::Refused => true,
    }
}

/// Sessions that are not what the rules say now.
pub(super) async fn sessions(engine: &Arc<Engine>) -> Result<Vec<PolicySessions>> {
    let branches = engine.blocking(|engine| Ok((engine.store.branches()?, now(engine)?))).await?;
    let (mut branches, rules) = branches;
    branches.sort_by(|a, b| a.name.cmp(&b.name));
    let owner = &engine.store.info().user;
    let mut found = Vec::new();
    for branch in branches {
        let writers = rules.writers(&branch.name);
        let endpoints = engine.binding.leading(branch.id).await?;
        let sessions = endpoints.iter().flat_map(|endpoint| endpoint.sessions());
        let wrong =
            |session: &Session| session.key == branch.id.0 && is_wrong(session, writers.as_ref(), owner);
        let count = sessions.filter(wrong).count() as u64;
        if count > 0 {
            let place = writers.as_ref().map(|writers| writers.place().clone());
            found.push(PolicySessions { id: branch.id.0, name: branch.name, count, place });
        }
    }
    Ok(found)
}

/// Ends those sessions on a branch, and returns how many there were.
pub(super) async fn drain(engine: &Arc<Engine>, id: BranchId) -> Result<u64> {
    let (name, rules) =
        engine.blocking(move |engine| Ok((engine.store.branch(id)?.name, now(engine)?))).await?;
    let writers = Arc::new(rules.writers(&name));
    let owner = Arc::new(engine.store.info().user.clone());
    let mut drains = tokio::task::JoinSet::new();
    for endpoint in engine.binding.leading(id).await? {
        let (writers, owner) = (Arc::clone(&writers), Arc::clone(&owner));
        drains.spawn(async move {
            let wrong = move |session: &Session| {
                session.key == id.0 && is_wrong(session, Option::as_ref(&writers), &owner)
            };
            endpoint.drain_ruled(GRACE, wrong).await
        });
    }
    let mut count = 0;
    while let Some(drained) = drains.join_next().await {
        let drained = drained.unwrap_or_default();
        count += (drained.idle + drained.finished + drained.cut) as u64;
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    fn rules(file: &str, committed: Option<&str>) -> Now {
        let read = |text: &str| parse(&format!("[[branches]]\npattern = 'main'\n{text}")).unwrap().rules;
        Now {
            file: read(file),
            committed: committed.map(|text| ("main".to_owned(), read(text))),
            broken: None,
        }
    }

    #[test]
    fn who_is_named_by_the_file_and_by_what_is_committed_writes_and_the_owner_reads() {
        assert_eq!(rules("protected = true", None).writers("main"), None, "as it always was");
        let both = rules("writers = ['deploy', 'mine']", Some("writers = ['deploy', 'ops']"))
            .writers("main")
            .unwrap();
        assert_eq!(both.names().collect::<Vec<_>>(), ["deploy"]);
        let login = |user| both.login(user, "owner");
        assert_eq!(login("deploy"), Login::Itself);
        assert_eq!(["owner", READER].map(login), [Login::Reader; 2]);
        assert_eq!(["mine", "ops", "postgres", ""].map(login), [Login::Refused; 4]);
        let committed = rules("", Some("writers = []")).writers("main").unwrap();
        assert_eq!(
            (committed.login("owner", "owner"), committed.place().file.as_str()),
            (Login::Reader, "main:offshoot.toml")
        );
    }

    #[test]
    fn a_refusal_names_the_list_that_keeps_a_role_out_and_when_a_change_of_it_counts() {
        let changed = rules("writers = ['deploy']", Some("\nwriters = []")).writers("main").unwrap();
        let refused = changed.refused("main", "deploy", "owner").0;
        let said =
            "`deploy` does not log in to `main`: no session may write to it (main:offshoot.toml, line 4)";
        assert_eq!(refused.message, said);
        let hint = refused.hint.unwrap();
        assert!(hint.ends_with("A change of that line counts when it is committed on `main`."), "{hint}");
        assert_eq!(changed.place().file, "main:offshoot.toml", "as `policy explain` shows it");

        // Where the work tree's list is the narrower one, that is named, and needs no commit.
        let narrowed = rules("writers = []", Some("writers = ['deploy']")).writers("main").unwrap();
        let refused = narrowed.refused("main", "deploy", "owner").0;
        assert!(refused.message.ends_with("(offshoot.toml, line 3)"), "{}", refused.message);
        assert!(!refused.hint.unwrap().contains("committed"));
        assert_eq!(narrowed.place().file, FILE_NAME);
    }

    #[test]
    fn sessions_that_a_changed_rule_would_let_in_otherwise_are_told_apart() {
        let session = |user: &str, reader: bool| Session {
            key: 1,
            user: user.to_owned(),
            logged_in_as: reader.then(|| READER.to_owned()),
        };
        let limited = rules("writers = ['deploy']", None).writers("main");
        let wrong = |session: &Session, limited: Option<&Writers>| is_wrong(session, limited, "owner");
        for (session, when_limited, when_not) in [
            (session("owner", false), true, false),
            (session("owner", true), false, true),
            (session("deploy", false), false, false),
            (session("other", false), true, false),
        ] {
            assert_eq!(wrong(&session, limited.as_ref()), when_limited, "{session:?}");
            assert_eq!(wrong(&session, None), when_not, "{session:?}");
        }
    }
}
