//! What the editor shows of whole schemas: the tree of objects, the summary of a branch, its picture.
//!
//! The engine gives facts; everything is made of them here, so that it needs no messages of its own.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use offshoot_protocol::explorer::{
    ComparedFacts, EditorObjectsParams, EditorPartsParams, EditorSummaryParams, FactsParams, ObjectPart,
    ObjectParts, SchemaObjects, SchemaSummary,
};
use offshoot_protocol::method as m;
use offshoot_protocol::types::{BranchParams, Nothing, SchemaObject};
use offshoot_schema::{Facts, Kind, Object};
use offshoot_summary::{Filter, ObjectRef, Side, Sides};
use tower_lsp_server::jsonrpc;

use super::job::{self, About, Work};
use super::server::Backend;
use crate::failure::{Failure, Result};
use crate::given;

/// How often a schema that changes while it is read is begun anew.
const ATTEMPTS: usize = 5;
/// Schemas kept.
const MOST_KNOWN: usize = 6;

/// A schema that was read.
#[derive(Clone)]
struct Known {
    store: PathBuf,
    branch: String,
    revision: u64,
    text: Arc<str>,
    facts: Arc<Facts>,
}

/// The schemas that were read last, the newest at the end. All of it can be read again.
static KNOWN: Mutex<Vec<Known>> = Mutex::new(Vec::new());

impl Backend {
    pub(super) async fn objects(&self, params: EditorObjectsParams) -> jsonrpc::Result<SchemaObjects> {
        job::run(&self.shared, about(&params.folder), move |work| {
            let Some(known) = read(work, &params.branch, params.wake)? else {
                return Ok(SchemaObjects { asleep: true, objects: Vec::new() });
            };
            let objects = known.facts.objects();
            let on_the_wire = |object: &Object| {
                let ObjectRef { kind, schema, name } = object.into();
                SchemaObject { kind, schema, name }
            };
            Ok(SchemaObjects { asleep: false, objects: objects.iter().map(on_the_wire).collect() })
        })
        .await
    }

    pub(super) async fn parts(&self, params: EditorPartsParams) -> jsonrpc::Result<ObjectParts> {
        job::run(&self.shared, about(&params.folder), move |work| {
            let SchemaObject { kind, schema, name } = params.object;
            let kind = Kind::parse(&kind)
                .ok_or_else(|| Failure::user(format!("there is no kind of object `{kind}`")))?;
            let known = must_read(work, &params.branch)?;
            let parts = offshoot_summary::parts(&known.facts, &Object { kind, schema, name });
            let part = |part: offshoot_summary::Part| ObjectPart {
                kind: part.kind,
                name: part.name,
                detail: part.detail,
            };
            Ok(ObjectParts { parts: parts.into_iter().map(part).collect() })
        })
        .await
    }

    pub(super) async fn summary(&self, params: EditorSummaryParams) -> jsonrpc::Result<SchemaSummary> {
        job::run(&self.shared, about(&params.folder), move |work| {
            let filter = match &params.filter {
                None => Filter::default(),
                Some(text) => serde_json::from_str(text)
                    .map_err(|why| Failure::internal(format!("the filter of a summary is not one: {why}")))?,
            };
            let compared = compared(work, &params.branch)?;
            let sides = Sides {
                mine: Side { name: &params.branch, facts: &compared.mine.facts },
                theirs: Side { name: &compared.theirs.branch, facts: &compared.theirs.facts },
                fork: compared.fork.as_ref().map(|(_, facts)| facts),
            };
            let document = offshoot_summary::document(&sides, &filter);
            let picture = serde_json::to_string(&offshoot_summary::picture(&sides, &filter))
                .map_err(|why| Failure::internal(format!("the picture is no JSON: {why}")))?;
            Ok(SchemaSummary { document, picture })
        })
        .await
    }

    pub(super) async fn facts(&self, params: EditorSummaryParams) -> jsonrpc::Result<ComparedFacts> {
        job::run(&self.shared, about(&params.folder), move |work| {
            let Compared { mine, theirs, fork } = compared(work, &params.branch)?;
            Ok(ComparedFacts {
                base: theirs.branch,
                mine: mine.text.as_ref().to_owned(),
                theirs: theirs.text.as_ref().to_owned(),
                fork: fork.map(|(text, _)| text),
            })
        })
        .await
    }
}

fn about(folder: &str) -> About {
    About { folder: folder.to_owned(), ..About::default() }
}

struct Compared {
    mine: Known,
    theirs: Known,
    fork: Option<(String, Facts)>,
}

/// The schemas of a branch, of its parent, and of the fork point if that is known.
fn compared(work: &Work, branch: &str) -> Result<Compared> {
    let list = work.call::<m::BranchGetList>(&Nothing {})?;
    let parent = list.branches.into_iter().find(|each| each.name == branch).and_then(|each| each.parent);
    let Some(parent) = parent else {
        return Err(Failure::user(format!("branch `{branch}` has no parent to compare it with")));
    };
    let fork = work.call::<m::SchemaGetFork>(&BranchParams { name: branch.to_owned() });
    // Without it the branch is compared with what its parent has now.
    let fork = fork.ok().and_then(|file| std::fs::read_to_string(file.path).ok());
    let fork = fork.and_then(|text| Facts::from_text(&text).ok().map(|facts| (text, facts)));
    let (mut mine, mut theirs) = (must_read(work, branch)?, must_read(work, &parent)?);
    let mut fork = fork;
    let given = work.call::<m::SchemaGetGiven>(&BranchParams { name: branch.to_owned() })?;
    if !given::is_nothing(&given) {
        let ours = Arc::make_mut(&mut mine.facts);
        let parents = Arc::make_mut(&mut theirs.facts);
        match &mut fork {
            Some((text, fork)) => {
                given::leave_out(&given, ours, fork, &mut [parents]);
                *text = fork.to_text();
            }
            None => given::leave_out(&given, ours, parents, &mut []),
        }
        for side in [&mut mine, &mut theirs] {
            side.text = side.facts.to_text().into();
        }
    }
    Ok(Compared { mine, theirs, fork })
}

fn must_read(work: &Work, branch: &str) -> Result<Known> {
    read(work, branch, true)?.ok_or_else(|| Failure::engine(format!("branch `{branch}` does not wake")))
}

/// The schema of a branch; `None` if it would have to be woken and must not be.
fn read(work: &Work, branch: &str, wake: bool) -> Result<Option<Known>> {
    let store = work.target.project()?.store.clone();
    let known = recall(&store, branch);
    for _ in 0..ATTEMPTS {
        let mut params = FactsParams {
            branch: branch.to_owned(),
            wake,
            known: known.as_ref().map(|known| known.revision),
            offset: 0,
            revision: None,
        };
        let first = work.call::<m::SchemaGetFacts>(&params)?;
        if first.asleep {
            return Ok(None);
        }
        if let Some(known) = known.as_ref().filter(|known| known.revision == first.revision) {
            return Ok(Some(known.clone()));
        }
        let (mut text, mut next) = (first.text, first.next);
        (params.known, params.revision) = (None, Some(first.revision));
        let mut same = true;
        while let Some(offset) = next.filter(|_| same) {
            params.offset = offset;
            let piece = work.call::<m::SchemaGetFacts>(&params)?;
            same = !piece.asleep && piece.revision == first.revision;
            text.push_str(&piece.text);
            next = piece.next;
        }
        if same {
            let facts = Facts::from_text(&text)
                .map_err(|why| Failure::internal(format!("the schema of {branch} came broken: {why}")))?;
            let read = Known {
                store,
                branch: branch.to_owned(),
                revision: first.revision,
                text: text.into(),
                facts: Arc::new(facts),
            };
            remember(read.clone());
            return Ok(Some(read));
        }
    }
    Err(Failure::engine(format!("the schema of branch `{branch}` changes faster than it can be read")))
}

fn recall(store: &std::path::Path, branch: &str) -> Option<Known> {
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.iter().find(|known| known.store == store && known.branch == branch).cloned()
}

fn remember(read: Known) {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.retain(|other| other.store != read.store || other.branch != read.branch);
    known.push(read);
    if known.len() > MOST_KNOWN {
        known.remove(0);
    }
}
