//! An editor: a language server of its own and everything that it says.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{PROGRAM, TestRepo};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running `offshoot lsp` with its pipes.
pub(crate) struct Editor {
    server: Child,
    input: Option<ChildStdin>,
    messages: Receiver<Value>,
    next_id: u64,
    answers: HashMap<u64, Value>,
    /// The newest status.
    pub(crate) status: Value,
    /// How many statuses came.
    pub(crate) statuses: usize,
    /// What is wrong with documents, by URI.
    pub(crate) diagnostics: HashMap<String, Value>,
    /// Values of `$/progress`, by token.
    pub(crate) progress: HashMap<String, Vec<Value>>,
    /// What programs printed, by token.
    pub(crate) output: HashMap<String, String>,
}

pub(crate) fn uri(path: &Path) -> String {
    format!("file://{}", path.display())
}

impl Editor {
    /// An editor with `folders` open, in a trusted workspace.
    pub(crate) fn open(test: &TestRepo, folders: &[&Path]) -> Self {
        Self::start(test, folders, true)
    }

    pub(crate) fn start(test: &TestRepo, folders: &[&Path], trusted: bool) -> Self {
        let mut command = test.command(PROGRAM);
        command.current_dir("/").args(["lsp", "--log", "debug"]);
        Self::run(command, folders, trusted)
    }

    pub(crate) fn run(mut command: std::process::Command, folders: &[&Path], trusted: bool) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut server = command.spawn().unwrap();
        let output = server.stdout.take().unwrap();
        let errors = server.stderr.take().unwrap();
        // Shown by the test harness where a test fails.
        thread::spawn(move || {
            BufReader::new(errors).lines().map_while(Result::ok).for_each(|l| eprintln!("{l}"));
        });
        let (send, messages) = channel();
        thread::spawn(move || {
            let mut output = BufReader::new(output);
            while let Some(message) = read(&mut output) {
                if send.send(message).is_err() {
                    return;
                }
            }
        });
        let mut editor = Self {
            input: server.stdin.take(),
            server,
            messages,
            next_id: 1,
            answers: HashMap::new(),
            status: Value::Null,
            statuses: 0,
            diagnostics: HashMap::new(),
            progress: HashMap::new(),
            output: HashMap::new(),
        };
        let folders: Vec<_> = folders
            .iter()
            .map(|path| json!({ "uri": uri(path), "name": path.file_name().unwrap().to_str() }))
            .collect();
        let answer = editor.ask(
            "initialize",
            json!({
                "processId": null, "rootUri": null, "capabilities": {}, "workspaceFolders": folders,
                "initializationOptions": { "trusted": trusted },
            }),
        );
        assert_eq!(answer["serverInfo"]["name"], "offshoot");
        editor.notify("initialized", json!({}));
        editor
    }

    pub(crate) fn notify(&mut self, method: &str, params: Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    /// Sends a request and returns its id.
    pub(crate) fn request(&mut self, method: &str, params: Value) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        id
    }

    fn send(&mut self, message: &Value) {
        let text = message.to_string();
        let input = self.input.as_mut().unwrap();
        write!(input, "Content-Length: {}\r\n\r\n{text}", text.len()).unwrap();
        input.flush().unwrap();
    }

    /// The answer to a request, whatever it is.
    #[track_caller]
    pub(crate) fn answer(&mut self, id: u64) -> Value {
        self.until("an answer", |editor| editor.answers.contains_key(&id));
        self.answers.remove(&id).unwrap()
    }

    /// The result of a request that must succeed.
    #[track_caller]
    pub(crate) fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.request(method, params);
        let answer = self.answer(id);
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// The error of a request that must fail.
    #[track_caller]
    pub(crate) fn refused(&mut self, method: &str, params: Value) -> Value {
        let id = self.request(method, params);
        let answer = self.answer(id);
        assert!(answer.get("error").is_some(), "{method}: {answer}");
        answer["error"].clone()
    }

    /// Takes what the server says until `holds`.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds(self) {
            match self.messages.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => panic!("never came true: {what}; status {:#}", self.status),
                Err(RecvTimeoutError::Disconnected) => panic!("the server ended before: {what}"),
            }
        }
    }

    /// The state of the folder at `index`, once `holds`.
    #[track_caller]
    pub(crate) fn state(&mut self, index: usize, what: &str, mut holds: impl FnMut(&Value) -> bool) -> Value {
        self.until(what, |editor| holds(&editor.status["folders"][index]["state"]));
        self.status["folders"][index]["state"].clone()
    }

    /// Waits for the first folder to be ready on a branch.
    #[track_caller]
    pub(crate) fn ready_on(&mut self, branch: &str) -> Value {
        self.state(0, &format!("ready on {branch}"), |state| {
            state["kind"] == "ready" && state["worktree"]["branch"]["name"] == branch
        })
    }

    /// Takes what has come by now.
    pub(crate) fn drain(&mut self) {
        while let Ok(message) = self.messages.try_recv() {
            self.take(message);
        }
    }

    fn take(&mut self, message: Value) {
        let params = &message["params"];
        match message["method"].as_str() {
            None => {
                if let Some(id) = message["id"].as_u64() {
                    self.answers.insert(id, message);
                }
            }
            Some("offshoot/status") => {
                assert!(!params.to_string().contains("@127.0.0.1") || !has_password(params), "{params}");
                self.status = params.clone();
                self.statuses += 1;
            }
            Some("textDocument/publishDiagnostics") => {
                let uri = params["uri"].as_str().unwrap().to_owned();
                self.diagnostics.insert(uri, params["diagnostics"].clone());
            }
            Some("$/progress") => {
                let token = params["token"].as_str().unwrap().to_owned();
                self.progress.entry(token).or_default().push(params["value"].clone());
            }
            Some("offshoot/output") => {
                let token = params["token"].as_str().unwrap().to_owned();
                self.output.entry(token).or_default().push_str(params["text"].as_str().unwrap());
            }
            Some(other) => panic!("unexpected {other}"),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.server.id()
    }

    /// Closes the server's standard input and waits until it ends.
    pub(crate) fn close(&mut self) -> ExitStatus {
        self.input = None;
        self.ended()
    }

    pub(crate) fn ended(&mut self) -> ExitStatus {
        self.server.wait().unwrap()
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        self.input = None;
        if thread::panicking() {
            // A server that hangs must not hang the test.
            let _ = self.server.kill();
        }
        let _ = self.server.wait();
    }
}

fn has_password(status: &Value) -> bool {
    let folders = status["folders"].as_array().unwrap();
    folders.iter().any(|folder| {
        let url = folder["state"]["worktree"]["endpoint"]["url"].as_str().unwrap_or_default();
        url.split_once("://")
            .is_some_and(|(_, rest)| rest.split('@').next().unwrap_or_default().contains(':'))
    })
}

/// One message; `None` at the end.
fn read(output: &mut impl BufRead) -> Option<Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if output.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            header => {
                let (name, value) =
                    header.split_once(':').unwrap_or_else(|| panic!("not the protocol: {header}"));
                if name.eq_ignore_ascii_case("content-length") {
                    length = value.trim().parse().unwrap();
                }
            }
        }
    }
    let mut bytes = vec![0; length];
    output.read_exact(&mut bytes).ok()?;
    Some(serde_json::from_slice(&bytes).unwrap())
}
