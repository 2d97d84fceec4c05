//! Lines and messages.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::error::Category;

use crate::error::{ErrorKind, RpcError};
use crate::method::{Method, Notification};

/// Longest line in bytes, without its line feed.
pub const MAX_LINE: usize = 1024 * 1024;

/// Why bytes are no message. The connection cannot go on after [`FrameError::TooLong`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A line exceeds [`MAX_LINE`].
    #[error("a message is longer than {MAX_LINE} bytes")]
    TooLong,
    /// Not JSON: cut off, not UTF-8, or nested too deeply.
    #[error("not JSON: {0}")]
    NotJson(String),
    /// JSON, but not JSON-RPC 2.0 with numbers for ids.
    #[error("not a JSON-RPC message: {0}")]
    Malformed(String),
}

impl FrameError {
    /// The code by which JSON-RPC names the situation.
    pub fn code(&self) -> i64 {
        match self {
            Self::NotJson(_) => -32700,
            Self::TooLong | Self::Malformed(_) => -32600,
        }
    }
}

/// Collects bytes as they arrive and gives out whole lines.
#[derive(Debug, Default)]
pub struct LineBuffer {
    bytes: Vec<u8>,
    scanned: usize,
}

impl LineBuffer {
    /// Adds what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Takes the next whole line without its line feed; `None` until one is there. Empty lines are skipped.
    ///
    /// # Errors
    /// [`FrameError::TooLong`] as soon as the line under way is too long, whole or not.
    pub fn next_line(&mut self) -> Result<Option<Vec<u8>>, FrameError> {
        loop {
            let Some(at) = self.bytes[self.scanned..].iter().position(|&b| b == b'\n') else {
                self.scanned = self.bytes.len();
                return if self.bytes.len() > MAX_LINE { Err(FrameError::TooLong) } else { Ok(None) };
            };
            let end = self.scanned + at;
            // Mostly a line comes alone, and a long one is not copied.
            let mut line = if end + 1 == self.bytes.len() {
                std::mem::take(&mut self.bytes)
            } else {
                self.bytes.drain(..=end).collect()
            };
            self.scanned = 0;
            line.pop();
            if line.len() > MAX_LINE {
                return Err(FrameError::TooLong);
            }
            if !line.iter().all(u8::is_ascii_whitespace) {
                return Ok(Some(line));
            }
        }
    }
}

/// Id of a request.
pub type Id = u64;

/// A JSON-RPC message of either direction.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// Wants an answer.
    Request {
        /// Repeated in the answer.
        id: Id,
        /// Name.
        method: String,
        /// Parameters; an empty object if the message had none.
        params: Value,
    },
    /// Wants none.
    Notification {
        /// Name.
        method: String,
        /// Parameters.
        params: Value,
    },
    /// Answers a request.
    Response {
        /// Of the request.
        id: Id,
        /// What it came to.
        outcome: Result<Value, RpcError>,
    },
    /// Answers a request with a result that is text already: large ones are not copied into values first. It is read as a
    /// [`Message::Response`].
    Written {
        /// Of the request.
        id: Id,
        /// JSON without line breaks.
        result: String,
    },
    /// Answers what was no request, or what was not read at all. Its id is null.
    Refusal {
        /// Of JSON-RPC.
        code: i64,
        /// Why.
        error: RpcError,
    },
}

#[derive(Deserialize)]
struct Raw {
    jsonrpc: String,
    #[serde(default, deserialize_with = "present")]
    id: Option<Value>,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    params: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    result: Option<Value>,
    #[serde(default)]
    error: Option<RawError>,
}

/// As [`Raw`], of what is written: nothing is copied for it.
#[derive(Default, Serialize)]
struct RawOut<'a> {
    jsonrpc: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    params: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<RawError>,
}

/// A response with a result, read straight into its type.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer<R> {
    jsonrpc: String,
    id: Id,
    result: R,
}

/// Reads a line that is the response to request `id` and has a result of type `R`; `None` for any other, which [`Message::parse`] reads.
pub(crate) fn answer<R: DeserializeOwned>(id: Id, line: &[u8]) -> Option<R> {
    // Looked at once as a whole, not string by string.
    let answer: Answer<R> = serde_json::from_str(std::str::from_utf8(line).ok()?).ok()?;
    (answer.jsonrpc == "2.0" && answer.id == id && line.trim_ascii_start().first() == Some(&b'{'))
        .then_some(answer.result)
}

/// Keeps `"result": null` apart from an absent result, and a null id from none.
fn present<'de, D: serde::Deserializer<'de>>(input: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(input).map(Some)
}

#[derive(Serialize, Deserialize)]
struct RawError {
    code: i64,
    message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<RpcError>,
}

impl RawError {
    fn new(code: i64, error: RpcError) -> Self {
        Self { code, message: error.message.clone(), data: Some(error) }
    }
}

impl Message {
    /// A request of `M`.
    ///
    /// # Errors
    /// [`FrameError::Malformed`] if the parameters have no JSON form.
    pub fn request<M: Method>(id: Id, params: &M::Params) -> Result<Self, FrameError> {
        Ok(Self::Request { id, method: M::NAME.into(), params: value(params)? })
    }

    /// A notification of `N`.
    ///
    /// # Errors
    /// [`FrameError::Malformed`] if the parameters have no JSON form.
    pub fn notification<N: Notification>(params: &N::Params) -> Result<Self, FrameError> {
        Ok(Self::Notification { method: N::NAME.into(), params: value(params)? })
    }

    /// Reads one line.
    ///
    /// # Errors
    /// [`FrameError::NotJson`], [`FrameError::Malformed`].
    pub fn parse(line: &[u8]) -> Result<Self, FrameError> {
        let raw: Raw = serde_json::from_slice(line).map_err(|e| match e.classify() {
            Category::Data => FrameError::Malformed(e.to_string()),
            Category::Syntax | Category::Eof | Category::Io => FrameError::NotJson(e.to_string()),
        })?;
        if line.trim_ascii_start().first() != Some(&b'{') {
            return Err(FrameError::Malformed("not an object".into()));
        }
        if raw.jsonrpc != "2.0" {
            return Err(FrameError::Malformed(format!("`jsonrpc` is {:?}, not \"2.0\"", raw.jsonrpc)));
        }
        let params = raw.params.unwrap_or_else(|| Value::Object(serde_json::Map::new()));
        let id = match raw.id.map(|id| (id.as_u64(), id)) {
            None => None,
            Some((Some(id), _)) => Some(id),
            Some((None, Value::Null)) if raw.method.is_none() => None,
            Some((None, other)) => {
                return Err(FrameError::Malformed(format!("the id is {other}, not a whole number")));
            }
        };
        match (id, raw.method, raw.result, raw.error) {
            (Some(id), Some(method), None, None) => Ok(Self::Request { id, method, params }),
            (None, Some(method), None, None) => Ok(Self::Notification { method, params }),
            (Some(id), None, Some(result), None) => Ok(Self::Response { id, outcome: Ok(result) }),
            (id, None, None, Some(RawError { code, message, data })) => {
                let error = data.unwrap_or_else(|| RpcError::new(ErrorKind::Internal, message));
                Ok(match id {
                    Some(id) => Self::Response { id, outcome: Err(error) },
                    None => Self::Refusal { code, error },
                })
            }
            _ => Err(FrameError::Malformed("neither a request nor a notification nor a response".into())),
        }
    }

    /// Writes the message as one line, with its line feed.
    ///
    /// # Errors
    /// [`FrameError::TooLong`].
    pub fn to_line(&self) -> Result<Vec<u8>, FrameError> {
        let mut raw = RawOut { jsonrpc: "2.0", ..RawOut::default() };
        match self {
            Self::Request { id, method, params } => {
                (raw.id, raw.method, raw.params) = (Some((*id).into()), Some(method.as_str()), Some(params));
            }
            Self::Notification { method, params } => {
                (raw.method, raw.params) = (Some(method.as_str()), Some(params));
            }
            Self::Response { id, outcome: Ok(result) } => {
                (raw.id, raw.result) = (Some((*id).into()), Some(result));
            }
            Self::Response { id, outcome: Err(error) } => {
                raw.id = Some((*id).into());
                raw.error = Some(RawError::new(error.code(), error.clone()));
            }
            Self::Refusal { code, error } => {
                raw.id = Some(Value::Null);
                raw.error = Some(RawError::new(*code, error.clone()));
            }
            Self::Written { .. } => (),
        }
        let mut line = match self {
            Self::Written { id, result } => {
                format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#).into_bytes()
            }
            _ => serde_json::to_vec(&raw).map_err(|e| FrameError::Malformed(e.to_string()))?,
        };
        if line.len() > MAX_LINE {
            return Err(FrameError::TooLong);
        }
        line.push(b'\n');
        Ok(line)
    }
}

fn value(from: &impl Serialize) -> Result<Value, FrameError> {
    serde_json::to_value(from).map_err(|e| FrameError::Malformed(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Reason;
    use crate::method::{BranchCreate, EngineStop};
    use crate::types::{CreateParams, StopParams};

    fn round_trip(message: &Message) -> Message {
        let line = message.to_line().unwrap();
        assert_eq!(line.split(|&b| b == b'\n').count(), 2, "one line a message");
        Message::parse(&line[..line.len() - 1]).unwrap()
    }

    #[test]
    fn an_answer_is_read_straight_into_its_type_and_nothing_else_is() {
        let line = |text: &str| text.as_bytes().to_vec();
        let read = |text| answer::<Vec<u64>>(7, &line(text));
        assert_eq!(read(r#"{"jsonrpc":"2.0","id":7,"result":[1,2]}"#), Some(vec![1, 2]));
        for other in [
            r#"{"jsonrpc":"2.0","id":8,"result":[1]}"#,
            r#"{"jsonrpc":"1.0","id":7,"result":[1]}"#,
            r#"{"jsonrpc":"2.0","id":7,"result":"no list"}"#,
            r#"{"jsonrpc":"2.0","id":7,"result":[1],"error":{"code":1,"message":"both"}}"#,
            r#"{"jsonrpc":"2.0","id":7,"error":{"code":1,"message":"none"}}"#,
            r#"{"jsonrpc":"2.0","method":"x","params":[1]}"#,
            r#"["2.0",7,[1]]"#,
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn a_written_result_is_read_as_a_response() {
        let written = Message::Written { id: 7, result: r#"{"list":["ä\n"]}"#.to_owned() };
        let outcome = Ok(serde_json::json!({ "list": ["ä\n"] }));
        assert_eq!(round_trip(&written), Message::Response { id: 7, outcome });
        let large = Message::Written { id: 7, result: "0".repeat(MAX_LINE) };
        assert_eq!(large.to_line(), Err(FrameError::TooLong));
    }

    #[test]
    fn messages_survive_the_wire() {
        let create =
            CreateParams {
                name: "feature/ä\n🌱".into(), path: Some("/r".into()), ..CreateParams::default()
            };
        let error = RpcError::user("branch `b` exists").hint("choose another name").reason(Reason::Cancelled);
        for message in [
            Message::request::<BranchCreate>(7, &create).unwrap(),
            Message::request::<EngineStop>(8, &StopParams::default()).unwrap(),
            Message::Response { id: 7, outcome: Ok(Value::Null) },
            Message::Response { id: 7, outcome: Err(error.clone()) },
            Message::Refusal { code: -32700, error },
        ] {
            assert_eq!(round_trip(&message), message);
        }
    }

    #[test]
    fn lines_come_out_whole_however_they_arrive() {
        let mut buffer = LineBuffer::default();
        let mut seen = Vec::new();
        for byte in b"{\"a\":1}\n\n \r\n{\"b\":2}\n{\"c\"" {
            buffer.push(&[*byte]);
            while let Some(line) = buffer.next_line().unwrap() {
                seen.push(String::from_utf8(line).unwrap());
            }
        }
        assert_eq!(seen, ["{\"a\":1}", "{\"b\":2}"]);
    }

    #[test]
    fn a_line_that_never_ends_is_refused_before_it_fills_memory() {
        let mut buffer = LineBuffer::default();
        buffer.push(&vec![b'x'; MAX_LINE]);
        assert_eq!(buffer.next_line(), Ok(None));
        buffer.push(b"xx");
        assert_eq!(buffer.next_line(), Err(FrameError::TooLong));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let deep = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{}"#, "[".repeat(10_000));
        for bad in [
            &b""[..],
            b"{",
            b"no",
            b"\xff",
            b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}",
            deep.as_bytes(),
        ] {
            let said = Message::parse(bad).unwrap_err();
            assert!(matches!(said, FrameError::NotJson(_)), "{said}");
            assert_eq!(said.code(), -32700);
        }
        for bad in [
            "[]",
            "7",
            r#"["2.0",1,"x"]"#,
            "{}",
            r#"{"jsonrpc":"2.0","id":null,"method":"x"}"#,
            r#"{"jsonrpc":"2.0","id":-1,"method":"x"}"#,
            r#"{"jsonrpc":"2.0","id":1.5,"method":"x"}"#,
            r#"{"jsonrpc":"1.0","id":1,"method":"x"}"#,
            r#"{"jsonrpc":"2.0","id":1}"#,
            r#"{"jsonrpc":"2.0","id":"one","method":"x"}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":1,"error":{"code":1,"message":""}}"#,
        ] {
            let said = Message::parse(bad.as_bytes()).unwrap_err();
            assert!(matches!(said, FrameError::Malformed(_)) && said.code() == -32600, "{bad}: {said}");
        }
    }

    #[test]
    fn an_error_without_our_data_keeps_its_message() {
        let line = br#"{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"no"}}"#;
        let Message::Response { outcome: Err(error), .. } = Message::parse(line).unwrap() else { panic!() };
        assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Internal, "no"));
    }

    #[test]
    fn method_names_are_unique() {
        let mut names: Vec<_> =
            crate::method::METHODS.iter().chain(crate::method::NOTIFICATIONS).map(|row| row.name).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
