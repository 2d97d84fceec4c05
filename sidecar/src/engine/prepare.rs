//! What a rule gives a new branch before anybody connects to it: extensions, roles, grants. All of it, or there is no such branch.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::Deref;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use offshoot_protocol::policy::{Given, GivenGrant};
use offshoot_storage::{BranchId, Former};
use postgres::{Client, Transaction};

use super::book::Book;
use super::{Engine, given, policy, throwaway};
use crate::config::rules::{Grant, Initial, Objects};
use crate::config::{FILE_NAME, closest};
use crate::failure::{Failure, Result, chain};

/// Names of extensions that an error shows.
const MOST_SHOWN: usize = 60;

/// A branch that is being made and that a rule gives something. While this lives it is noted, so that an engine that is killed meanwhile
/// leaves none that is half made.
pub(super) struct Preparing<E: Deref<Target = Engine>> {
    engine: E,
    name: String,
    initial: Option<Initial>,
}

impl<E: Deref<Target = Engine>> Preparing<E> {
    /// Before the branch is made. Blocks.
    pub(super) fn begin(engine: E, name: &str) -> Result<Self> {
        let initial = policy::now(&engine)?.initial(name);
        if initial.is_some() && engine.store.branch_named(name)?.is_none() {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
            Book(&engine.store).set_preparing(name, Some(now as u64))?;
        }
        Ok(Self { engine, name: name.to_owned(), initial })
    }

    /// Gives the branch what its rule says; removes it for good if that cannot be. Blocks as long as a start of Postgres takes.
    pub(super) fn finish(self, id: BranchId) -> Result<()> {
        let Some(initial) = &self.initial else { return Ok(()) };
        let _turn = self.engine.computes.turn_blocking(id);
        give(&self.engine, id, &self.name, initial).or_else(|failure| {
            to_trash(&self.engine, id)?;
            self.engine.store.purge_trash_now(Some(&[id]))?;
            Err(failure)
        })
    }
}

impl<E: Deref<Target = Engine>> Drop for Preparing<E> {
    fn drop(&mut self) {
        if self.initial.is_some()
            && let Err(failure) = Book(&self.engine.store).set_preparing(&self.name, None)
        {
            tracing::warn!(branch = %self.name, error = %failure, "cannot forget that a branch was being made");
        }
    }
}

/// The same for a branch that took the place of `old` by a reset, which comes back if it cannot be.
pub(super) fn prepare_again(engine: &Engine, id: BranchId, old: BranchId, name: &str) -> Result<()> {
    let Some(initial) = policy::now(engine)?.initial(name) else { return Ok(()) };
    let _turn = engine.computes.turn_blocking(id);
    give(engine, id, name, &initial).or_else(|failure| {
        sleep(engine, id)?;
        engine.store.undo(&Former::Id(old))?;
        engine.forget(id);
        engine.store.purge_trash_now(Some(&[id]))?;
        Err(failure)
    })
}

/// Moves to the trash what an engine that was killed left half made.
pub(super) fn sweep(engine: &Engine) -> Result<()> {
    for (name, begun_ms) in Book(&engine.store).preparing()? {
        if let Some(branch) = engine.store.branch_named(&name)?
            && branch.created_at >= UNIX_EPOCH + Duration::from_millis(begun_ms)
        {
            tracing::warn!(branch = %name, "a branch was half made when the engine ended; it is in the trash");
            to_trash(engine, branch.id)?;
        }
        Book(&engine.store).set_preparing(&name, None)?;
    }
    Ok(())
}

fn sleep(engine: &Engine, id: BranchId) -> Result<()> {
    engine.store.sleep(id)?;
    engine.computes.slept(id);
    Ok(())
}

fn to_trash(engine: &Engine, id: BranchId) -> Result<()> {
    sleep(engine, id)?;
    engine.store.delete_branch(id)?;
    engine.forget(id);
    Ok(())
}

fn give(engine: &Engine, id: BranchId, name: &str, initial: &Initial) -> Result<()> {
    engine.schemas.wakes(id);
    let socket = engine.store.wake(id)?;
    engine.computes.woke(id);
    let options = throwaway::options(engine.store.info().postgres.version.major);
    let mut client = throwaway::connect(engine, &socket, None, &options)?;
    check_extensions(&mut client, name, initial)?;
    let mut transaction = client.transaction().map_err(|error| lost(name, &error))?;
    let given = apply(&mut transaction, name, initial)?;
    let given = Given { owner: engine.store.info().user.clone(), ..given };
    given::note(engine, id, &given)?;
    transaction.commit().map_err(|error| lost(name, &error))?;
    drop(client);
    engine.schemas.doubt(id);
    tracing::info!(branch = name, id = id.0, "gave a branch what its rule says");
    Ok(())
}

fn check_extensions(client: &mut Client, name: &str, initial: &Initial) -> Result<()> {
    let Some(extensions) = &initial.extensions else { return Ok(()) };
    let rows = client.query("select name::text from pg_available_extensions order by 1", &[]);
    let rows = rows.map_err(|error| lost(name, &error))?;
    let known: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let Some(unknown) = extensions.value.iter().find(|wanted| !known.contains(wanted)) else { return Ok(()) };
    let names: Vec<&str> = known.iter().map(String::as_str).collect();
    let near = closest(unknown, &names).map(|near| format!("Did you mean `{near}`? ")).unwrap_or_default();
    let more = if names.len() > MOST_SHOWN { ", …" } else { "" };
    let shown = names[..names.len().min(MOST_SHOWN)].join(", ");
    Err(Failure::user(format!(
        "`{name}` is not made: this Postgres has no extension `{unknown}` ({FILE_NAME}, line {})",
        extensions.line
    ))
    .hint(format!("{near}There are {shown}{more}.")))
}

/// Returns what was not there before, and the grants, of which some may have been.
fn apply(transaction: &mut Transaction<'_>, name: &str, initial: &Initial) -> Result<Given> {
    let mut given = Given::default();
    let before = Made::read(transaction).map_err(|error| lost(name, &error))?;
    let refused = |line: usize, what: &str, error: &postgres::Error| {
        let said = error.as_db_error().map_or_else(|| chain(error), |said| said.message().to_owned());
        let hint = error.as_db_error().and_then(postgres::error::DbError::hint).map(str::to_owned);
        Failure::user(format!("`{name}` is not made: {what} ({FILE_NAME}, line {line}): {said}"))
            .hint(hint.unwrap_or_else(|| "Change that line, or the parent's schema.".to_owned()))
    };
    if let Some(extensions) = &initial.extensions {
        for extension in &extensions.value {
            let sql = format!("create extension if not exists {} cascade", ident(extension));
            let done = transaction.batch_execute(&sql);
            done.map_err(|e| refused(extensions.line, &format!("the extension `{extension}`"), &e))?;
        }
    }
    if let Some(roles) = &initial.roles {
        for role in &roles.value {
            let what = format!("the role `{role}`");
            let found = transaction.query_opt("select from pg_roles where rolname = $1", &[role]);
            if found.map_err(|e| refused(roles.line, &what, &e))?.is_none() {
                let done = transaction.batch_execute(&format!("create role {} nologin", ident(role)));
                done.map_err(|e| refused(roles.line, &what, &e))?;
                given.roles.push(role.clone());
            }
        }
    }
    if let Some(grants) = &initial.grants {
        for grant in &grants.value {
            let done = transaction.batch_execute(&sql(grant));
            done.map_err(|e| refused(grants.line, &format!("the grant `{grant}`"), &e))?;
            given.grants.push(GivenGrant {
                privileges: grant.privileges.clone(),
                on: grant.on.as_str().to_owned(),
                schema: grant.schema.clone(),
                role: grant.role.clone(),
            });
        }
    }
    let after = Made::read(transaction).map_err(|error| lost(name, &error))?;
    given.extensions = after.extensions.difference(&before.extensions).cloned().collect();
    given.schemas = after.schemas.difference(&before.schemas).cloned().collect();
    Ok(given)
}

/// What an extension makes that is no part of another object.
struct Made {
    extensions: BTreeSet<String>,
    schemas: BTreeSet<String>,
}

impl Made {
    fn read(transaction: &mut Transaction<'_>) -> std::result::Result<Self, postgres::Error> {
        let sql = "select extname::text, true from pg_extension union all select nspname::text, false from pg_namespace";
        let mut made = Self { extensions: BTreeSet::new(), schemas: BTreeSet::new() };
        for row in transaction.query(sql, &[])? {
            let names = if row.get(1) { &mut made.extensions } else { &mut made.schemas };
            names.insert(row.get(0));
        }
        Ok(made)
    }
}

/// Gives a throwaway the extensions and roles that rules gave a branch, without which what the branch has may not be made there. No
/// grants. Blocks.
pub(super) fn equip(client: &mut Client, given: &Given) -> std::result::Result<(), postgres::Error> {
    let mut sql = String::new();
    for schema in &given.schemas {
        let _ = writeln!(sql, "create schema if not exists {};", ident(schema));
    }
    for extension in &given.extensions {
        let _ = writeln!(sql, "create extension if not exists {} cascade;", ident(extension));
    }
    for role in &given.roles {
        if client.query_opt("select from pg_roles where rolname = $1", &[role])?.is_none() {
            let _ = writeln!(sql, "create role {} nologin;", ident(role));
        }
    }
    client.batch_execute(&sql)
}

/// For what there is, and for what the owner of the database makes later.
fn sql(grant: &Grant) -> String {
    let privileges = grant.privileges.join(", ");
    let (schema, role) = (ident(&grant.schema), ident(&grant.role));
    if grant.on == Objects::Schema {
        return format!("grant {privileges} on schema {schema} to {role}");
    }
    let objects = grant.on.as_str();
    format!(
        "grant usage on schema {schema} to {role};
         grant {privileges} on all {objects} in schema {schema} to {role};
         alter default privileges in schema {schema} grant {privileges} on {objects} to {role}"
    )
}

fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn lost(name: &str, error: &postgres::Error) -> Failure {
    Failure::engine(format!("`{name}` is not made: its Postgres was lost meanwhile: {}", chain(error)))
        .hint("`offshoot engine logs` tells more.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_is_about_what_there_is_and_what_comes_and_names_are_no_sql() {
        let all = sql(&Grant::parse("select on tables in App to we\"ird").unwrap());
        assert!(all.contains("grant select on all tables in schema \"App\" to \"we\"\"ird\";"), "{all}");
        assert!(all.contains("alter default privileges in schema \"App\" grant select on tables"), "{all}");
        assert_eq!(
            sql(&Grant::parse("usage on schema to x").unwrap()),
            "grant usage on schema \"public\" to \"x\""
        );
    }
}
