//! `bundle/create` and `bundle/apply`: a branch as a file, for the store of somebody else.
//!
//! The store carries the pages; here the schema is proved: it is read of what goes in, and again of what came out, before a branch is made
//! of that.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::BufWriter;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use offshoot_postgres::Progress;
use offshoot_protocol::bundle::{
    Bundle, BundleApplied, BundleApplyParams, BundleBase, BundleCreateParams, BundleCreated,
};
use offshoot_schema::Facts;
use offshoot_storage::{BranchId, BundleFacts, SchemaProof, Unpacked, WriteBundle, read_bundle_facts};
use sha2::{Digest as _, Sha256};

use super::book::{Book, By};
use super::policy::{Birthplace, Deed};
use super::reporter::unless_cancelled;
use super::server::Call;
use super::{Engine, branches, catalogs, events, expiry, policy, room, throwaway};
use crate::config::rules::READER;
use crate::failure::{Failure, Result, chain};
use crate::names;

/// How long transactions may go on in a root branch whose place is taken.
const GRACE: Duration = Duration::from_secs(5);

/// What the schemas are compared by: another Offshoot may read other facts.
fn proof_kind(text: &str) -> String {
    format!("{}, offshoot {}", text.lines().next().unwrap_or_default(), crate::VERSION)
}

fn proof(facts: &Facts) -> SchemaProof {
    let text = facts.to_text();
    let hash = Sha256::digest(&text).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    SchemaProof { kind: proof_kind(&text), hash }
}

/// A throwaway that goes with this value, on a thread that may block.
struct OnTheWay<'a>(&'a Engine, BranchId);

impl Drop for OnTheWay<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.0.store.remove_throwaway(self.1) {
            tracing::error!(id = self.1.0, %error, "a throwaway is left until the engine starts again");
        }
    }
}

/// `bundle/create`.
pub(super) async fn create(
    engine: &Arc<Engine>,
    params: BundleCreateParams,
    call: &Call,
) -> Result<BundleCreated> {
    let id = branches::named(engine, &params.branch).await?;
    engine.migrations.check_idle(id)?;
    let turn = engine.computes.turn(id).await;
    unless_cancelled(engine, call, move |engine, progress| {
        let frozen_as = {
            let _turn = turn;
            room::admit(engine)?;
            progress.step("Take the state", 0, None);
            OnTheWay(engine, engine.store.create_throwaway(id)?)
        };
        let order = look(engine, id, frozen_as.1, params.full, progress)?;
        let path = Path::new(&params.file);
        let file = OpenOptions::new()
            .write(true)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path)
            .map_err(|e| Failure::io(format!("write {}", path.display()), &e))?;
        let mut out = BufWriter::new(&file);
        let made = engine.store.write_bundle(&order, &mut out, progress)?;
        drop(out);
        let bytes = file.metadata().map_or(0, |facts| facts.len());
        tracing::info!(branch = %params.branch, bytes, pages = made.facts.pages, full = params.full, "made a bundle");
        Ok(BundleCreated { bundle: on_the_wire(made.facts, None), bytes, snapshot: made.anchor })
    })
    .await
    .inspect(|made| {
        if made.snapshot.is_some() {
            engine.branches_changed();
        }
    })
}

/// Reads what the header says of a state, in a throwaway of the throwaway: a Postgres that ran on that would change it.
fn look(
    engine: &Engine,
    branch: BranchId,
    frozen_as: BranchId,
    full: bool,
    progress: &dyn Progress,
) -> Result<WriteBundle> {
    let reading = OnTheWay(engine, engine.store.create_throwaway(frozen_as)?);
    progress.step("Read the schema", 0, None);
    let socket = engine.store.wake(reading.1)?;
    let facts = read(engine, &socket)?;
    let options = throwaway::options(engine.store.info().postgres.version.major);
    let mut client = throwaway::connect(engine, &socket, None, &options)?;
    let mut texts = |what: &str, sql: &str| -> Result<Vec<String>> {
        let rows = client
            .query(sql, &[])
            .map_err(|error| Failure::engine(format!("cannot look for {what}: {}", chain(&error))))?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    };
    let prepared = texts("prepared transactions", "SELECT gid FROM pg_catalog.pg_prepared_xacts ORDER BY 1")?;
    if !prepared.is_empty() {
        return Err(Failure::user(format!(
            "the branch has prepared transactions, which nobody could end elsewhere: {}",
            prepared.join(", ")
        ))
        .hint("End them first: `COMMIT PREPARED 'NAME'` or `ROLLBACK PREPARED 'NAME'`."));
    }
    Ok(WriteBundle {
        branch,
        frozen_as,
        full,
        schema: proof(&facts),
        extensions: texts("extensions", "SELECT extname::text FROM pg_catalog.pg_extension ORDER BY 1")?,
        roles: texts(
            "roles",
            &format!(
                "SELECT rolname::text FROM pg_catalog.pg_authid WHERE rolpassword IS NOT NULL AND rolname <> '{READER}' ORDER BY 1"
            ),
        )?,
    })
}

fn read(engine: &Engine, socket: &Path) -> Result<Facts> {
    let seen = catalogs::look(&engine.store, socket, None)?;
    seen.facts.ok_or_else(|| Failure::internal("a look at a schema found nothing"))
}

/// `bundle/apply`. Nothing of it stays if the client cancels or goes before the branch is made.
pub(super) async fn apply(
    engine: &Arc<Engine>,
    params: BundleApplyParams,
    call: &Call,
) -> Result<BundleApplied> {
    let root = engine.store.root_branch();
    let (path, asked) = (params.file.clone(), params.name.clone());
    let (name, root_name) = engine
        .blocking(move |engine| {
            let facts = read_bundle_facts(&mut open(&path)?)?;
            Ok((asked.unwrap_or(facts.branch), engine.store.branch(root)?.name))
        })
        .await?;
    let deed = Deed::new("offshoot bundle apply --root …", params.override_rules);
    if params.root {
        branches::unguarded(engine, root, &root_name, deed.clone()).await?;
    } else {
        names::check(&name)?;
    }
    let target = (!params.root).then(|| name.clone());
    let names_root = name == root_name;
    let overridden = params.override_rules;
    let (unpacked, notes) = unless_cancelled(engine, call, move |engine, progress| {
        room::admit(engine)?;
        if let Some(name) = &target {
            if engine.store.branch_named(name)?.is_some() {
                let hint = if names_root {
                    "Take another name: `--name NAME`. Or `--root` puts its data in the place of the root branch's."
                } else {
                    "Take another name: `--name NAME`."
                };
                return Err(Failure::user(format!("a database branch named `{name}` exists already")).hint(hint));
            }
            policy::admit(engine, &policy::now(engine)?, name, overridden)?;
            policy::may_be_made(engine, name, Birthplace::Bundle, "offshoot bundle apply", overridden)?;
        }
        let mut file = open(&params.file)?;
        let unpacked = engine.store.unpack_bundle(&mut file, target.as_deref(), progress)?;
        let proved = prove(engine, &unpacked, progress);
        if proved.is_err() || progress.is_cancelled() {
            drop(OnTheWay(engine, unpacked.throwaway));
        }
        let mut notes = unpacked.notes.clone();
        notes.extend(proved?);
        if progress.is_cancelled() {
            return Err(Failure::cancelled());
        }
        Ok((unpacked, notes))
    })
    .await?;
    let snapshot = unpacked.anchor.clone();
    let bundle = on_the_wire(unpacked.facts.clone(), None);
    let id = if params.root {
        take_root(engine, unpacked, deed, call).await?
    } else {
        adopt(engine, unpacked, name, overridden).await?
    };
    engine.branches_changed();
    Ok(BundleApplied { branch: branches::describe_one(engine, id).await?, bundle, snapshot, notes })
}

/// Compares the schema of what was unpacked with the one that was bundled.
fn prove(engine: &Engine, unpacked: &Unpacked, progress: &dyn Progress) -> Result<Option<String>> {
    progress.step("Compare the schema", 0, None);
    let socket = engine.store.wake(unpacked.throwaway)?;
    let facts = read(engine, &socket);
    engine.store.sleep(unpacked.throwaway)?;
    let (ours, theirs) = (proof(&facts?), &unpacked.facts.schema);
    if ours.kind != theirs.kind {
        return Ok(Some(format!(
            "the schema was not compared, as another Offshoot made the bundle ({}); every page was",
            theirs.kind
        )));
    }
    if ours.hash == theirs.hash {
        return Ok(None);
    }
    Err(Failure::engine("the schema of what was unpacked is not the one that was bundled").hint(
        "Nothing was changed here. Have the bundle made again; or carry the branch with `offshoot dump`.",
    ))
}

async fn adopt(engine: &Arc<Engine>, unpacked: Unpacked, name: String, overridden: bool) -> Result<BranchId> {
    engine
        .blocking(move |engine| {
            let rules = policy::now(engine).and_then(|rules| {
                let births = policy::admit(engine, &rules, &name, overridden)?;
                Ok((rules.birth(&name), births))
            });
            let (birth, _births) = rules.inspect_err(|_| drop(OnTheWay(engine, unpacked.throwaway)))?;
            let branch = engine.store.adopt_bundle(&unpacked, &name)?;
            room::made(engine, branch.id);
            events::unbundled(engine, branch.id, &unpacked.facts.branch);
            policy::of_a_bundle(engine, branch.id)?;
            let book = Book(&engine.store);
            book.set_parent(&branch.name, None)?;
            if engine.repository.has_branch(&branch.name).unwrap_or(false) {
                book.set_name_in_git(branch.id, Some(&branch.name))?;
            }
            expiry::begin(engine, branch.id, expiry::after(birth.ttl), By::Rule)?;
            tracing::info!(branch = %branch.name, id = branch.id.0, "made a branch of a bundle");
            Ok(branch.id)
        })
        .await
}

async fn take_root(engine: &Arc<Engine>, unpacked: Unpacked, deed: Deed, call: &Call) -> Result<BranchId> {
    let _structure = engine.structure.lock().await;
    let old = engine.store.root_branch();
    let throwaway = unpacked.throwaway;
    let ready = async {
        let name = engine.blocking(move |engine| Ok(engine.store.branch(old)?.name)).await?;
        branches::unguarded(engine, old, &name, deed).await?;
        let turn = engine.computes.turn(old).await;
        call.progress("closing connections", 0, Some(2));
        call.or_cancelled(engine.binding.drain(old, GRACE)).await?;
        Ok(turn)
    };
    let turn = match ready.await {
        Ok(turn) => turn,
        Err(failure) => {
            let away = move |engine: &Arc<Engine>| {
                drop(OnTheWay(engine, throwaway));
                Ok(())
            };
            engine.blocking(away).await?;
            return Err(failure);
        }
    };
    call.progress("taking its place", 1, Some(2));
    let new = engine
        .blocking(move |engine| {
            let branch = engine.store.adopt_bundle_as_root(&unpacked)?;
            engine.forget(old);
            events::unbundled(engine, branch.id, &unpacked.facts.branch);
            tracing::info!(branch = %branch.name, old = old.0, id = branch.id.0, "took the root from a bundle");
            Ok(branch.id)
        })
        .await?;
    engine.generation.fetch_add(1, Ordering::AcqRel);
    engine.binding.replaced(old, Some(new)).await?;
    drop(turn);
    Ok(new)
}

/// Opens a bundle, which must be an ordinary file: a pipe cannot be read twice, and one that nobody writes to is never read.
pub(crate) fn open(path: &str) -> Result<File> {
    let failed = |e: &std::io::Error| Failure::user(format!("cannot read {path}: {e}"));
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .map_err(|e| failed(&e).hint("Name a file that `offshoot bundle create` has made."))?;
    if !file.metadata().map_err(|e| failed(&e))?.is_file() {
        return Err(Failure::user(format!("{path} is no file"))
            .hint("Name a file that `offshoot bundle create` has made."));
    }
    Ok(file)
}

/// What is in a bundle, as the wire has it.
pub(crate) fn on_the_wire(facts: BundleFacts, state: Option<String>) -> Bundle {
    Bundle {
        branch: facts.branch,
        postgres: facts.postgres,
        system_identifier: facts.system_identifier.to_string(),
        timeline: facts.timeline,
        checkpoint: facts.checkpoint.to_string(),
        base: facts.base.map(|base| BundleBase { id: base.id, label: base.label }),
        relations: facts.relations,
        pages: facts.pages,
        unpacked_bytes: facts.bytes,
        extensions: facts.extensions,
        roles: facts.roles,
        schema: facts.schema.hash,
        state,
    }
}
