//! One repository's history: takes steps, and compares after each of them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use offshoot_protocol::method::{
    BranchCreate, BranchDelete, BranchGetList, BranchReset, BranchUndo, BranchUrl, WorktreeUrl,
};
use offshoot_protocol::types::{
    Branch, BranchParams, CreateParams, GuardedParams, Nothing, UndoParams, WorktreeUrlParams,
};
use offshoot_protocol::{Client, ClientError, Method};
use postgres::NoTls;

use crate::model::{Did, Model};
use crate::pair::{MAIN, Pair};
use crate::steps::{Act, Chooser, Step};
use crate::support::PATIENCE;
use crate::windows::Windows;

/// Steps after which rows are written and read, and objects compared.
const DATA: usize = 50;
/// Steps, and lines of the engine's log, that are printed when one fails.
const SHOWN: usize = 40;

pub(crate) struct Round {
    windows: Windows,
    pair: Pair,
    client: Client,
    model: Model,
    chooser: Chooser,
    history: VecDeque<String>,
    next_row: i32,
    /// How often each kind of act was done, and refused.
    tally: BTreeMap<String, (u32, u32)>,
}

impl Round {
    pub(crate) fn new(seed: u64) -> Self {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let pair = Pair::new(now);
        pair.test.run(&["sql", "-c", "create table proof (n int primary key)"]).ok();
        let mut client = Client::connect(&pair.test.socket()).unwrap();
        let root = list(&mut client).remove(0);
        let model = Model::new(pair.look(), &root);
        let chooser = Chooser::new(seed);
        let mut windows = Windows::default();
        windows.open(&pair.test, &model.seen);
        let (history, tally) = (VecDeque::new(), BTreeMap::new());
        Self { windows, pair, client, model, chooser, history, next_row: 0, tally }
    }

    pub(crate) fn run(mut self, steps: usize) {
        for n in 1..=steps {
            let step = self.chooser.next(&self.model);
            self.history.push_back(format!("{n}: {}: {:?}", step.at, step.acts));
            if self.history.len() > SHOWN {
                self.history.pop_front();
            }
            // Every other time nobody asks the engine before the windows have heard by themselves.
            self.take(&step, n % 2 == 0);
            self.pair.compare(&self.model.seen, n % DATA == 0);
            if n % DATA == 0 {
                self.prove();
            }
        }
        self.prove_all();
        for (what, (done, refused)) in &self.tally {
            println!("{done:5} done {refused:5} refused  {what}");
        }
        println!("{}", self.windows.summary());
    }

    fn take(&mut self, step: &Step, windows_first: bool) {
        self.pair.tick();
        let mut did = true;
        for act in &step.acts {
            did = self.act(&step.at, act);
            let (done, refused) = self.tally.entry(act.kind()).or_default();
            *(if did { done } else { refused }) += 1;
        }
        let done_at = Instant::now();
        let seen = self.pair.look();
        self.windows.close(&seen);
        if windows_first {
            self.windows.hear(&seen);
        }
        // The first that asks has the switch made.
        for folder in seen.folders() {
            self.place(folder);
        }
        if let Some(last) = self.history.back_mut() {
            let word = if did { "done" } else { "refused" };
            *last = format!("{last} {word}; git has {:?}, {:?}", seen.branches, seen.heads);
        }
        let told = if did { step.did.clone() } else { Did::Nothing };
        let listed = list(&mut self.client);
        if let Err(why) = self.model.step(&told, seen, &listed) {
            panic!("{why}");
        }
        let deadline = Instant::now() + PATIENCE;
        while let Some(why) = self.differs() {
            // The engine hears of a branch's new name; everything else it has read by now.
            assert!(matches!(told, Did::Renamed { .. }) && Instant::now() < deadline, "{why}");
            std::thread::sleep(Duration::from_millis(2));
        }
        self.windows.agree(&self.model, done_at);
        self.windows.open(&self.pair.test, &self.model.seen);
    }

    fn differs(&mut self) -> Option<String> {
        let folders: Vec<String> = self.model.seen.folders().map(str::to_owned).collect();
        for folder in folders {
            let (is, expected) = (self.place(&folder), self.model.place(&folder));
            if is != expected {
                return Some(format!("the endpoint of {folder} leads to `{is}` and should to `{expected}`"));
            }
        }
        self.model.differs(&list(&mut self.client))
    }

    /// Whether git, or the engine, did it.
    fn act(&mut self, at: &str, act: &Act) -> bool {
        match act {
            Act::Git(args) => self.pair.git(at, args, "true"),
            Act::Edited(args, editor) => self.pair.git(at, args, editor),
            Act::Write(file, text) => {
                self.pair.write(at, file, text);
                true
            }
            Act::Vanish(folder) => {
                self.pair.remove(folder);
                true
            }
            Act::CreateDatabase(name) => {
                let params = CreateParams { name: name.clone(), ..CreateParams::default() };
                let made = self.call::<BranchCreate>(&params);
                assert_eq!(made.is_err(), self.model.databases.contains_key(name), "{made:?}");
                let is_made = made.is_ok();
                if let Ok(made) = made {
                    let root = self.model.databases.values().find(|one| one.parent.is_none()).unwrap().id;
                    self.model.made(name, made.id, root);
                }
                is_made
            }
            Act::ResetDatabase(name) => {
                let reset = self.call::<BranchReset>(&guarded(name));
                let is_root = self.model.databases[name].parent.is_none();
                assert_eq!(reset.is_err(), is_root, "{reset:?}");
                if let Ok(reset) = reset {
                    self.model.reset(name, reset.id);
                }
                !is_root
            }
            Act::DeleteDatabase(name) => {
                let deleted = self.call::<BranchDelete>(&guarded(name));
                assert_eq!(deleted.is_err(), self.model.holds(name), "{deleted:?}");
                if deleted.is_ok() {
                    self.model.trash(name);
                }
                deleted.is_ok()
            }
            Act::Undo(name) => {
                let undone = self
                    .call::<BranchUndo>(&UndoParams {
                        name: Some(name.clone()),
                        id: None,
                        override_rules: false,
                    })
                    .unwrap();
                if let Err(why) = self.model.undone(name, &undone.branch) {
                    panic!("{why}");
                }
                true
            }
            Act::RestartEngine => {
                self.pair.test.run(&["engine", "stop"]).ok();
                self.pair.test.run(&["status"]).ok();
                self.client = Client::connect(&self.pair.test.socket()).unwrap();
                true
            }
        }
    }

    fn call<M: Method>(&mut self, params: &M::Params) -> Result<M::Result, ClientError> {
        self.client.call::<M>(params, PATIENCE)
    }

    fn url(&mut self, folder: &str) -> (String, String) {
        let path = self.pair.test.root().join(folder).to_str().unwrap().to_owned();
        let result = self.call::<WorktreeUrl>(&WorktreeUrlParams { path, new_port: false }).unwrap();
        (result.branch, result.url)
    }

    /// The name of the database branch that the endpoint of a worktree leads to.
    fn place(&mut self, folder: &str) -> String {
        self.url(folder).0
    }

    /// Writes a row through the endpoint of some worktree, and reads those that are there.
    fn prove(&mut self) {
        let folders: Vec<String> = self.model.seen.folders().map(str::to_owned).collect();
        let folder = folders[self.chooser.random.below(folders.len())].clone();
        let url = self.url(&folder).1;
        self.next_row += 1;
        let mut client = postgres::Client::connect(&url, NoTls).unwrap();
        client.execute("insert into proof values ($1)", &[&self.next_row]).unwrap();
        let (id, row) = (self.model.places[&folder], self.next_row);
        let database = self.model.by_id(id);
        database.rows.insert(row);
        assert_eq!(rows(&url), database.rows, "through the endpoint of {folder}");
    }

    /// Reads every database branch.
    fn prove_all(&mut self) {
        let databases = self.model.databases.clone();
        for (name, database) in databases {
            let url = self.call::<BranchUrl>(&BranchParams { name: name.clone() }).unwrap().url;
            assert_eq!(rows(&url), database.rows, "in `{name}`");
        }
        assert!(self.model.seen.heads.contains_key(MAIN));
    }
}

fn guarded(name: &str) -> GuardedParams {
    GuardedParams { name: name.to_owned(), override_rules: false }
}

fn list(client: &mut Client) -> Vec<Branch> {
    client.call::<BranchGetList>(&Nothing {}, PATIENCE).unwrap().branches
}

fn rows(url: &str) -> BTreeSet<i32> {
    let mut client = postgres::Client::connect(url, NoTls).unwrap();
    client.query("select n from proof", &[]).unwrap().iter().map(|row| row.get(0)).collect()
}

impl Drop for Round {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let steps: Vec<_> = self.history.iter().map(String::as_str).collect();
            let log = std::fs::read_to_string(self.pair.test.store().join("engine.log")).unwrap_or_default();
            let log: Vec<_> = log.lines().collect();
            println!("the engine's log:\n{}", log[log.len().saturating_sub(SHOWN)..].join("\n"));
            println!("the last steps:\n{}", steps.join("\n"));
        }
    }
}
