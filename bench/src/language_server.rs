//! `offshoot lsp` with somebody who talks to it, as an editor does.

use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::interrupt;

/// How long the server may be silent while something is waited for.
const PATIENCE: Duration = Duration::from_mins(1);
const LOOK_AT_INTERRUPTS: Duration = Duration::from_millis(200);

/// A running server with one folder open in a trusted workspace; dropped, it ends.
pub(crate) struct LanguageServer {
    process: Child,
    /// Closed first, which ends it.
    input: Option<ChildStdin>,
    messages: Receiver<Value>,
    requests: u64,
}

/// How a path is named in the protocol.
pub(crate) fn uri(path: &Path) -> String {
    format!("file://{}", path.display())
}

impl LanguageServer {
    /// Starts `command`, which is `offshoot lsp`, and opens `folder`.
    pub(crate) fn start(mut command: Command, folder: &Path) -> Result<Self> {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("start the language server")?;
        let output = process.stdout.take().context("its standard output")?;
        let (send, messages) = channel();
        thread::spawn(move || {
            let mut output = BufReader::new(output);
            while let Ok(Some(message)) = read(&mut output) {
                if send.send(message).is_err() {
                    return;
                }
            }
        });
        let mut server = Self { input: process.stdin.take(), process, messages, requests: 0 };
        let opened = json!([{ "uri": uri(folder), "name": "bench" }]);
        let start = json!({
            "processId": null, "rootUri": null, "capabilities": {}, "workspaceFolders": opened,
            "initializationOptions": { "trusted": true },
        });
        server.ask("initialize", &start)?;
        server.notify("initialized", &json!({}))?;
        Ok(server)
    }

    /// Sends what is not answered.
    pub(crate) fn notify(&mut self, method: &str, params: &Value) -> Result<()> {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }))
    }

    /// Sends a request and returns its result; what comes before it is passed over.
    pub(crate) fn ask(&mut self, method: &str, params: &Value) -> Result<Value> {
        self.requests += 1;
        let id = self.requests;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))?;
        let mut answer = self.until(method, |message| message["id"].as_u64() == Some(id))?;
        if let Some(error) = answer.get("error") {
            bail!("{method}: {error}");
        }
        Ok(answer["result"].take())
    }

    /// The next message that `holds`; `what` is named if none comes.
    pub(crate) fn until(&mut self, what: &str, holds: impl Fn(&Value) -> bool) -> Result<Value> {
        let mut silent_since = Instant::now();
        loop {
            match self.messages.recv_timeout(LOOK_AT_INTERRUPTS) {
                Ok(message) if holds(&message) => return Ok(message),
                Ok(_) => silent_since = Instant::now(),
                Err(RecvTimeoutError::Timeout) if silent_since.elapsed() < PATIENCE => interrupt::check()?,
                Err(RecvTimeoutError::Timeout) => bail!("the language server never said: {what}"),
                Err(RecvTimeoutError::Disconnected) => bail!("the language server ended before: {what}"),
            }
        }
    }

    fn send(&mut self, message: &Value) -> Result<()> {
        let text = message.to_string();
        let input = self.input.as_mut().context("the language server is closed")?;
        write!(input, "Content-Length: {}\r\n\r\n{text}", text.len())?;
        input.flush().context("write to the language server")
    }
}

impl Drop for LanguageServer {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.process.wait();
    }
}

/// One message; `None` at the end.
fn read(output: &mut impl BufRead) -> Result<Option<Value>> {
    let mut length = None;
    loop {
        let mut line = String::new();
        if output.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        match line.trim_end().split_once(':') {
            None => break,
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = Some(value.trim().parse()?);
            }
            Some(_) => (),
        }
    }
    let mut bytes = vec![0; length.context("a message without its length")?];
    output.read_exact(&mut bytes)?;
    Ok(Some(serde_json::from_slice(&bytes)?))
}
